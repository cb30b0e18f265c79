// A broadcast to many new buyers, beside whatever conversation is going on.

import { demo, platform } from "./api.js";
import { emit, on } from "./bus.js";
import { h, sync } from "./dom.js";
import { chosenLanguage, duration, t } from "./i18n.js";
import { buyerName } from "./names.js";

const POLL = 500;

const $ = (id) => document.getElementById(id);

let shop = null;
let words = () => "";
let recipients = [];

export function start() {
  on("subscriptions", (found) => (shop = found.shop));
  on("language", render);
  $("campaign-form").addEventListener("submit", run);
}

async function run(submit) {
  submit.preventDefault();
  const [number, text] = [Number($("campaign-buyers").value), $("campaign-text").value.trim()];
  $("campaign-start").disabled = true;
  recipients = [];
  say(() => t("campaign-entering", { count: number }));
  try {
    const { broadcast_id: id } = await demo.campaign(shop, number, text);
    await follow(shop, id, Date.now());
  } catch (error) {
    say(() => "");
    emit("trouble", error);
  }
  $("campaign-start").disabled = false;
}

async function follow(of, id, startedAt) {
  for (;;) {
    const { progress, recipients: total } = await platform.broadcast(of, id);
    recipients = (await platform.recipients(of, id)).items;
    const settled = progress.sent + progress.failed + progress.unknown;
    const time = duration(Date.now() - startedAt);
    say(() => t("campaign-progress", { ...progress, settled, total, time }));
    if (settled >= total) return;
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
}

function say(how) {
  words = how;
  render();
}

function render() {
  const said = words();
  if ($("campaign-said").textContent !== said) $("campaign-said").textContent = said;
  sync($("campaign-recipients"), recipients, {
    key: (one) => one.openid,
    version: (one) => [one.status, chosenLanguage()],
    create: (one) => h("li", { "data-status": one.status }, `${buyerName(one.openid)} · ${t(`state-${one.status}`)}`),
  });
}
