// What moved: the thing itself behind each hop, as the servers saw it.

import { h } from "./dom.js";
import { t } from "./i18n.js";

const $ = (id) => document.getElementById(id);
const TITLES = { "new-secret": "new-secret", attempts: "failed-attempts" };
const SECRET = /^(access_token|secret|authorization)$/i;

/** What an event shows of itself: named parts, each a text or a document. */
export function thingOf(event) {
  if (event.request) return { opened: event.fields, request: pushed(event.request) };
  if (event.kind === "sending") return { command: command(event), body: event.body };
  if (event.kind === "answered") return { status: event.status, answer: event.answer };
  if (event.wire) return event.wire;
  if (event.logged) return { logged: event.logged };
  if (event.headers) return { event: JSON.parse(event.body), headers: event.headers };
  const { from, past, n, ...rest } = event;
  return { record: rest };
}

function pushed({ query, body_base64: body, content_type: type }) {
  const text = new TextDecoder().decode(Uint8Array.from(atob(body), (one) => one.charCodeAt(0)));
  return `POST /wechat/push?${new URLSearchParams(query)}\nContent-Type: ${type}\n\n${text}`;
}

/** A line for a shell: `sign` prints a curl that can be run. */
function command({ path, body, idempotency_key: key }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const header = key ? ` --header ${quoted(`Idempotency-Key: ${key}`)}` : "";
  const data = body ? ` --data ${quoted(JSON.stringify(body))}` : "";
  return `wechat-kf sign POST ${path}${data}${header} | sh`;
}

export function start() {
  $("thing-close").addEventListener("click", () => $("thing").close());
}

/** `row` promises one more part, which comes when it has been read. */
export async function showThing(title, parts, row) {
  $("thing-heading").textContent = title;
  const shown = Object.entries(parts)
    .filter(([, part]) => part !== undefined && part !== null)
    .map(([name, part]) => [
      h("h3", {}, t(TITLES[name] ?? `thing-${name}`)),
      h("pre", { tabindex: "0" }, typeof part === "string" ? part : JSON.stringify(part, masked, 2)),
    ]);
  $("thing-parts").replaceChildren(...shown.flat());
  $("thing").showModal();
  const stored = await row?.catch(() => null);
  if (stored) $("thing-parts").append(h("h3", {}, t("thing-row")), h("pre", { tabindex: "0" }, JSON.stringify(stored, null, 2)));
}

function masked(name, value) {
  return SECRET.test(name) ? "…" : value;
}
