// The page's two languages. Elements marked `data-i18n` are translated in place.

import { emit } from "./bus.js";
import { TEXTS } from "./texts.js";

const REMEMBERED = "language";

let language = localStorage.getItem(REMEMBERED) ?? preferred();

function preferred() {
  return navigator.languages.find((one) => /^(zh|en)\b/i.test(one))?.slice(0, 2) ?? "en";
}

/** Where a text goes, by the attribute that holds its key. */
const PLACES = {
  "data-i18n": (element, text) => (element.textContent = text),
  "data-i18n-label": (element, text) => element.setAttribute("aria-label", text),
  "data-i18n-placeholder": (element, text) => element.setAttribute("placeholder", text),
  "data-i18n-href": (element, text) => element.setAttribute("href", text),
};

/** The text of a key in the chosen language, with `{name}` filled in. */
export function t(key, values = {}) {
  const text = TEXTS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function chosenLanguage() {
  return language;
}

export function choose(chosen) {
  language = chosen;
  localStorage.setItem(REMEMBERED, chosen);
  translate();
  emit("language");
}

/** Translate everything that is marked with one of the attributes of `PLACES`. */
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  for (const [attribute, put] of Object.entries(PLACES)) {
    for (const element of root.querySelectorAll(`[${attribute}]`)) put(element, t(element.getAttribute(attribute)));
  }
}

export function timeOfDay(milliseconds) {
  const format = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return new Date(milliseconds).toLocaleTimeString(locale(), format);
}

export function duration(milliseconds) {
  const rounded = Math.round(milliseconds);
  if (rounded < 1000) return `${rounded} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 1 : 0)} s`;
}

/** Format a remaining time in its two largest units. */
export function remaining(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) return t("hours-minutes", { hours, minutes });
  if (seconds >= 60) return t("minutes-seconds", { minutes, seconds: Math.floor(seconds) % 60 });
  return t("seconds", { seconds: Math.max(0, Math.ceil(seconds)) });
}

function locale() {
  return language === "zh" ? "zh-CN" : "en-GB";
}
