// Entry point: distributes the stack's events to the parts of the page.

import { demo, live, platform } from "./api.js";
import { emit, on } from "./bus.js";
import * as desk from "./desk.js";
import { choose, chosenLanguage, t, translate } from "./i18n.js";
import * as phone from "./phone.js";
import * as pictures from "./pictures.js";
import * as switches from "./switches.js";
import * as way from "./way.js";

const $ = (id) => document.getElementById(id);
const TROUBLE_SECONDS = 8;

let connected = false;

async function load() {
  const { app_id: appId, switches: positions } = await demo.read();
  switches.use({ switches: positions });
  let shops = await activeShops();
  if (shops.length === 0) {
    await openShops();
    shops = await activeShops();
  }
  $("open-shops").hidden = shops.filter((shop) => shop.external_id?.startsWith("demo-")).length > 1;
  for (const part of [phone, desk, way]) part.use({ appId, shops });
  await Promise.all([phone.refresh(), desk.refresh()]);
}

async function activeShops() {
  const { items } = await platform.merchants();
  return items.filter((shop) => shop.status === "active");
}

async function openShops() {
  $("open-shops").disabled = true;
  $("open-shops").hidden = false;
  $("open-shops").textContent = t("opening-shops");
  try {
    await demo.openShops();
  } finally {
    $("open-shops").disabled = false;
    $("open-shops").textContent = t("open-shops");
  }
}

function showTrouble(error) {
  $("trouble").textContent = t("error", { reason: error.message });
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

for (const part of [phone, desk, way, switches, pictures]) part.start();
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => choose(button.dataset.language));
}
$("open-shops").addEventListener("click", () => guarded(openShops));
on("trouble", showTrouble);
on("language", () => {
  showLanguage();
  showConnection();
});
on("demo", (event) => {
  if (event.kind === "shops") guarded(load);
});
translate();
showLanguage();
live({
  opened: () => {
    connected = true;
    showConnection();
    guarded(load);
  },
  lost: () => {
    connected = false;
    showConnection();
  },
  happened: (event) => emit(event.from, event),
});
