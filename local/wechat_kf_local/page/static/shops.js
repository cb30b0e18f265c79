// All shops of the platform, however many: loaded page by page, found by name, id or account name.

import { platform } from "./api.js";

const DEMO = /^demo-/;

/** Yield all active shops so far, after each page of the API. */
export async function* load() {
  const found = [];
  let cursor = null;
  do {
    const page = await platform.merchants(cursor);
    found.push(...page.items.filter((shop) => shop.status === "active"));
    cursor = page.next_cursor;
    yield [...found];
  } while (cursor);
}

/** The shops that match, those with the latest activity first, then the demo's, then by name. */
export function find(shops, words, activity) {
  const wanted = words.trim().toLowerCase();
  const matches = ({ nickname, business_id: id, account_name: account }) =>
    !wanted || id === wanted || [nickname, account].some((name) => name?.toLowerCase().includes(wanted));
  const rank = (shop) => [activity(shop), DEMO.test(shop.external_id ?? "") ? 1 : 0];
  return shops
    .filter(matches)
    .map((shop) => [shop, ...rank(shop)])
    .sort(([a, at, demo], [b, otherAt, otherDemo]) =>
      otherAt - at || otherDemo - demo || a.nickname.localeCompare(b.nickname),
    )
    .map(([shop]) => shop);
}
