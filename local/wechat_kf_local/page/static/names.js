// Display names for buyers and shops that have only ids.

import { t } from "./i18n.js";

/** WeChat gives nothing of a buyer but the OpenID: its end serves as a name. */
export function buyerName(openid) {
  return t("buyer", { name: openid.slice(-4).toUpperCase() });
}

/** A colour that stays with an id. */
export function hueOf(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}

/** The simulator's pictures are shown through the page's server. */
export function localPicture(url) {
  if (!url) return null;
  return new URL(url, location.origin).pathname.replace(/^\/_sim\//, "/wechat/");
}
