// The merchant's window: where a shop's events go, how that is, and what can be done about it.

import { platform } from "./api.js";
import { emit, on } from "./bus.js";
import { h, sync } from "./dom.js";
import { chosenLanguage, t, timeOfDay } from "./i18n.js";
import { showThing } from "./things.js";

const DAY = 86_400_000;
const TYPES = [
  "subscription.test",
  "message.received",
  "session.entered",
  "push.unknown",
  "message.sent",
  "message.failed",
  "message.unknown",
  "merchant.changed",
  "subscription.paused",
];

const $ = (id) => document.getElementById(id);

let shop = null;
let items = [];

export function start() {
  on("subscriptions", (found) => {
    ({ shop, items } = found);
    render();
  });
  on("language", render);
}

function render() {
  sync($("subscription-list"), items, {
    key: (one) => one.subscription_id,
    version: (one) => [one.status, one.health, chosenLanguage()],
    create: card,
  });
}

function card(one) {
  const { subscription_id: id, status, target, health } = one;
  const error = health.last_error;
  const facts = [
    t(`subscription-${status}`),
    t("subscription-waiting", { count: health.waiting }),
    t("subscription-dead", { count: health.dead }),
    error ? null : t("subscription-well"),
  ];
  const failed = error && t("subscription-error", { time: timeOfDay(Date.parse(error.at)), reason: error.reason });
  const types = TYPES.map((type) => h("option", { value: `wechat.kf.${type}` }, type));
  const type = h("select", { "aria-label": t("test-type") }, types);
  const other = status === "active" ? "paused" : "active";
  return h(
    "article",
    { class: "subscription" },
    h("code", {}, target.url ?? target.queue_url ?? target.type),
    h(
      "p",
      { class: "facts" },
      facts.filter(Boolean).map((fact) => h("span", {}, fact)),
      failed ? h("span", { class: "bad" }, failed) : null,
    ),
    h(
      "div",
      { class: "actions" },
      button(status === "active" ? "pause" : "resume", () => platform.changeSubscription(shop, id, { status: other })),
      type,
      button("send-test", () => act(id, "test", { event_type: type.value })),
      button("recover", () => act(id, "recover", { since: new Date(Date.now() - DAY).toISOString() })),
      button("rotate", async () => {
        const { secret } = await act(id, "rotate-secret");
        showThing(t("rotate"), { "new-secret": secret });
      }),
      button("failed-attempts", async () => {
        const found = await platform.attempts(shop, id);
        showThing(t("failed-attempts"), { attempts: found.items.length ? found.items : t("no-attempts") });
      }),
    ),
  );
}

function act(id, action, body) {
  return platform.actOnSubscription(shop, id, action, body);
}

function button(name, work) {
  const run = async () => {
    try {
      await work();
    } catch (error) {
      emit("trouble", error);
    }
    emit("subscriptions-changed", { shop });
  };
  return h("button", { type: "button", class: "quiet small", onclick: run }, t(name));
}
