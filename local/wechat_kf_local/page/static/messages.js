// Renders a message, on the phone and at the desk.

import { h } from "./dom.js";
import { t, timeOfDay } from "./i18n.js";

/** One bubble: `kind` is text, picture or card; `own` puts it to the right. */
export function bubble({ kind, text, picture, title, path, own, from, at, extra }) {
  const body = { text: textBody, picture: pictureBody, card: cardBody }[kind];
  return h(
    "div",
    { class: `message ${own ? "own" : "other"}` },
    h("span", { class: "unseen" }, `${own ? t("you-say") : from}, ${timeOfDay(at)}: `),
    h("div", { class: `bubble ${kind}` }, body({ text, picture, title, path, from })),
    extra ?? null,
  );
}

/** A line between the messages. */
export function line(text) {
  return h("p", { class: "between" }, text);
}

/** A few words that tell which message it was. */
export function excerpt({ kind, text, title }) {
  if (kind === "picture") return t("message-picture");
  const words = kind === "card" ? title : text;
  return words.length > 40 ? `${words.slice(0, 39)}…` : words;
}

function textBody({ text }) {
  return [text];
}

function pictureBody({ picture, from }) {
  return [h("img", { src: picture, alt: t("picture-from", { name: from }), loading: "lazy" })];
}

function cardBody({ title, path, picture }) {
  return [
    picture ? h("img", { src: picture, alt: "" }) : null,
    h("strong", {}, title),
    h("span", { class: "card-path" }, `${t("card-of")} · ${path}`),
  ];
}

/** Convert the API's message for `bubble` and `excerpt`. */
export function shape(message) {
  const picture = message.media_id ?? message.thumb_media_id;
  return {
    kind: { image: "picture", mini_program_page: "card", link: "card" }[message.type] ?? "text",
    text: message.text ?? message.content ?? message.head ?? "",
    picture: picture ? `/api/media/${encodeURIComponent(picture)}` : null,
    title: message.title ?? "",
    path: message.page_path ?? message.url ?? "",
  };
}
