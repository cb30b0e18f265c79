// Faults to turn on and off, and the access token to invalidate.

import { demo, wechat } from "./api.js";
import { on } from "./bus.js";
import { h, sync } from "./dom.js";
import { chosenLanguage, t } from "./i18n.js";

const ORDER = ["busy", "slow", "cut", "subscriber_down"];
const TOKEN = "token";

const $ = (id) => document.getElementById(id);

let positions = {};

export function start() {
  on("demo", (event) => {
    if (event.kind === "switches") use(event);
  });
  on("language", render);
}

export function use({ switches }) {
  positions = switches;
  render();
}

async function turn(name) {
  say("");
  try {
    use({ switches: await demo.turn({ [name]: !positions[name] }) });
  } catch (error) {
    say(t("fault-failed", { reason: error.message }));
  }
}

async function killToken() {
  try {
    await wechat.killTokens();
    say(t("fault-token-done"));
  } catch (error) {
    say(t("fault-failed", { reason: error.message }));
  }
}

function say(text) {
  $("faults-said").textContent = text;
}

function render() {
  sync($("switches"), [...ORDER, TOKEN], {
    key: (name) => name,
    version: (name) => [positions[name], chosenLanguage()],
    create: (name) => h("li", {}, name === TOKEN ? tokenButton() : faultSwitch(name), help(name)),
  });
}

function faultSwitch(name) {
  return h(
    "button",
    {
      type: "button",
      class: "switch",
      role: "switch",
      "aria-checked": String(Boolean(positions[name])),
      "aria-describedby": `help-${name}`,
      onclick: () => turn(name),
    },
    h("span", { class: "track", "aria-hidden": "true" }),
    t(`fault-${name}`),
  );
}

function tokenButton() {
  return h(
    "button",
    { type: "button", class: "quiet", "aria-describedby": `help-${TOKEN}`, onclick: killToken },
    t(`fault-${TOKEN}`),
  );
}

function help(name) {
  return h("p", { id: `help-${name}`, class: "hint" }, t(`fault-${name}-help`));
}
