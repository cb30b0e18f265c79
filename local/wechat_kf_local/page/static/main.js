// Entry point: distributes the stack's events to the parts of the page.

import { demo, live } from "./api.js";
import { emit, on } from "./bus.js";
import * as campaign from "./campaign.js";
import * as desk from "./desk.js";
import { choose, chosenLanguage, t, translate } from "./i18n.js";
import * as phone from "./phone.js";
import * as pictures from "./pictures.js";
import * as problems from "./problems.js";
import * as shops from "./shops.js";
import * as subscriptions from "./subscriptions.js";
import * as switches from "./switches.js";
import * as tabs from "./tabs.js";
import * as things from "./things.js";
import * as way from "./way.js";

const $ = (id) => document.getElementById(id);
const TROUBLE_SECONDS = 8;

let connected = false;

async function load() {
  const { app_id: appId, switches: positions } = await demo.read();
  switches.use({ switches: positions });
  await demo.openShops(); // does nothing when they are open
  for await (const found of shops.load()) {
    for (const part of [phone, desk, way]) part.use({ appId, shops: found });
    $("opening").hidden = true;
  }
  await Promise.all([phone.refresh(), desk.refresh()]);
}

function showTrouble(error) {
  $("trouble").textContent = t("error", { reason: problems.problemText(error) });
  $("trouble").hidden = false;
  clearTimeout(showTrouble.timer);
  showTrouble.timer = setTimeout(() => ($("trouble").hidden = true), TROUBLE_SECONDS * 1000);
}

function showConnection() {
  $("connection").textContent = t(connected ? "live" : "lost");
  $("connection").classList.toggle("lost", !connected);
}

function showLanguage() {
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", String(button.dataset.language === chosenLanguage()));
  }
}

async function guarded(work) {
  try {
    await work();
  } catch (error) {
    showTrouble(error);
  }
}

for (const part of [phone, desk, way, switches, pictures, problems, subscriptions, campaign, tabs, things]) part.start();
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => choose(button.dataset.language));
}
on("trouble", showTrouble);
on("language", () => {
  showLanguage();
  showConnection();
});
translate();
showLanguage();
live({
  opened: () => {
    connected = true;
    emit("connected");
    showConnection();
    guarded(load);
  },
  lost: () => {
    connected = false;
    showConnection();
  },
  happened: (event) => emit(event.past ? `past-${event.from}` : event.from, event),
});
