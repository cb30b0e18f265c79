// What the API refuses, in the page's language: texts by `code`, as docs/error-texts.zh-CN.json ships them.

import { chosenLanguage } from "./i18n.js";

let chinese = {};

export async function start() {
  chinese = await fetch("/error-texts").then((response) => response.json(), () => ({}));
}

/** `problem` has a `code` and a `detail`, as problem documents and failures have. */
export function problemText({ code, detail }) {
  return (chosenLanguage() === "zh" && chinese[code]?.meaning) || detail;
}
