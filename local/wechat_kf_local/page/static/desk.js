// The merchant's desk: shows events from the webhooks, replies through the API.

import { demo, platform, Refusal } from "./api.js";
import { emit, on } from "./bus.js";
import { h, keepAtEnd, sync } from "./dom.js";
import { chosenLanguage, remaining, t, timeOfDay } from "./i18n.js";
import { bubble, excerpt, line, shape } from "./messages.js";
import { buyerName, hueOf } from "./names.js";
import { badge } from "./phone.js";
import { choosePicture } from "./pictures.js";
import { problemText } from "./problems.js";
import { find } from "./shops.js";

const SETTLED = ["sent", "failed", "unknown"];
const RECEIVED = ["wechat.kf.message.received", "wechat.kf.session.entered", "wechat.kf.push.unknown"];
const OUTCOME = /^wechat\.kf\.message\.(sent|failed|unknown)$/;
const TYPING_EVERY = 12_000; // WeChat shows it for 15 s
const PAUSES = [1, 2, 30, 120]; // seconds, after a busy answer of WeChat's
const POLLS = [200, 400, 800, 1000, 1500];

const $ = (id) => document.getElementById(id);

const state = {
  shops: [],
  shop: null,
  cases: new Map(), // "shop openid" → case
  chosen: new Map(), // shop → openid
  missing: new Set(), // features that this stack has no route for
  outcomes: new Map(), // message id → outcome that came before its message was known
  typingUntil: 0,
};

export function start() {
  $("reply").addEventListener("submit", replyText);
  $("reply-picture").addEventListener("click", replyPicture);
  $("reply-text").addEventListener("input", type);
  $("desk-shop").addEventListener("change", () => chooseShop($("desk-shop").value));
  $("subscribe").addEventListener("click", subscribe);
  on("webhook", receive);
  on("language", render);
  on("subscriptions-changed", ({ shop }) => lookAtSubscriptions(shop));
  setInterval(() => state.shop && !document.hidden && lookAtSubscriptions(state.shop), 3000);
  setInterval(countDown, 1000);
}

export function use({ shops }) {
  state.shops = shops;
  if (shops.length && !shops.some((shop) => shop.business_id === state.shop)) {
    chooseShop(shops[0].business_id);
  }
  render();
}

// Conversations

function caseOf(shop, openid) {
  const key = `${shop} ${openid}`;
  if (!state.cases.has(key)) {
    const entries = new Map();
    state.cases.set(key, { shop, openid, entries, unread: 0, at: 0, window: null });
  }
  return state.cases.get(key);
}

function casesOf(shop) {
  return [...state.cases.values()].filter((one) => one.shop === shop).sort((a, b) => b.at - a.at);
}

function current() {
  const openid = state.chosen.get(state.shop);
  return openid ? caseOf(state.shop, openid) : null;
}

async function chooseShop(shop) {
  state.shop = shop;
  render();
  await Promise.all([loadConversations(shop), lookAtSubscriptions(shop)]);
}

/** Nothing arrives here from a shop whose events go nowhere, or elsewhere only. */
async function lookAtSubscriptions(shop) {
  const found = await ifThere("desk-transcript", () => platform.subscriptions(shop));
  if (shop !== state.shop) return;
  $("unsubscribed").hidden = !found || found.items.length > 0;
  emit("subscriptions", { shop, items: found?.items ?? [] });
}

async function subscribe() {
  const { shop } = state;
  try {
    await demo.subscribe(shop);
  } catch (error) {
    emit("trouble", error);
  }
  await lookAtSubscriptions(shop);
}

async function chooseBuyer(shop, openid) {
  state.chosen.set(shop, openid);
  const chosen = caseOf(shop, openid);
  chosen.unread = 0;
  render();
  $("thread").scrollTop = $("thread").scrollHeight;
  await loadTranscript(chosen);
}

/** Load everything that may have been missed. */
export async function refresh() {
  if (state.shop) await loadConversations(state.shop);
  if (current()) await loadTranscript(current());
}

async function loadConversations(shop) {
  const page = await ifThere("desk-transcript", () => platform.conversations(shop));
  for (const one of page?.items ?? []) {
    const found = caseOf(shop, one.openid);
    found.at = Math.max(found.at, Date.parse(one.active_at));
    found.window = one.window;
  }
  render();
}

async function loadTranscript(chosen) {
  const page = await ifThere("desk-transcript", () => platform.transcript(chosen.shop, chosen.openid));
  let before = 0;
  for (const item of (page?.items ?? []).toReversed()) {
    const known = sentEntry(chosen, item.id) ?? chosen.entries.get(item.id);
    before = known?.at ?? Math.max(before + 1, Date.parse(item.at)); // WeChat's times are whole seconds
    if (known) continue;
    const entry = { id: item.id, at: before, ...shape(item.message ?? {}) };
    if (item.direction === "received") {
      if (item.message) put(chosen, entry);
    } else {
      put(chosen, { ...entry, own: true, status: item.status, messageId: item.id });
      watch(chosen, item.id);
    }
  }
  render();
}

async function refreshWindow(one) {
  const read = () => platform.conversation(one.shop, one.openid);
  const conversation = await ifThere("desk-transcript", read);
  one.window = conversation?.window ?? one.window;
  render();
}

/** Return the response of a route, or null when this stack does not have it. */
async function ifThere(what, request) {
  try {
    return await request();
  } catch (error) {
    if (error instanceof Refusal && error.noSuchRoute) state.missing.add(what);
    else if (!(error instanceof Refusal && error.status === 404)) emit("trouble", error);
    return null;
  }
}

/** Find one of our replies by the API's id; its own id is its idempotency key. */
function sentEntry(one, messageId) {
  return [...one.entries.values()].find((entry) => entry.messageId === messageId);
}

function put(one, entry) {
  one.entries.set(entry.id, { ...one.entries.get(entry.id), ...entry });
  one.at = Math.max(one.at, entry.at);
}

// Webhooks

function receive({ verified, answered, body }) {
  if (!verified || answered >= 300) return;
  const event = JSON.parse(body);
  const [, type] = OUTCOME.exec(event.type) ?? [];
  if (type) settle(event.data.message_id, event.data);
  else if (RECEIVED.includes(event.type)) arrive(event);
}

function arrive(event) {
  const { business_id: shop, openid } = event.data;
  const one = caseOf(shop, openid);
  const known = one.entries.has(event.id);
  const note = event.type === RECEIVED[1] ? "entered-note" : "unknown-push";
  const content = event.data.message ? shape(event.data.message) : { note };
  put(one, { id: event.id, at: Math.max(one.at + 1, Date.parse(event.time)), ...content });
  const looking = shop === state.shop && state.chosen.get(shop) === openid;
  if (!known && !looking && event.data.message) one.unread += 1;
  if (!state.chosen.has(shop)) chooseBuyer(shop, openid);
  if (!current()) chooseShop(shop);
  refreshWindow(one);
  render();
}

function settle(messageId, outcome) {
  for (const one of state.cases.values()) {
    const entry = sentEntry(one, messageId);
    if (!entry) continue;
    update(one, entry.id, outcome);
    return;
  }
  state.outcomes.set(messageId, outcome);
}

function update(one, id, { status, error, attempts, window }) {
  const entry = one.entries.get(id);
  // An outcome of an earlier attempt may come after the retry was ordered.
  if (!entry || attempts < (entry.attempts ?? 0)) return;
  if (attempts !== entry.attempts) entry.attemptedAt = Date.now();
  const news = SETTLED.includes(status) && entry.status !== status;
  Object.assign(entry, { status, error: error ?? null, attempts: attempts ?? entry.attempts });
  if (window) one.window = window;
  if (news) {
    announce(t("outcome-said", { text: excerpt(entry), state: t(`state-${status}`) }));
    emit("answer-settled", { id: entry.messageId, status });
    refreshWindow(one);
  }
  render();
}

// Answers

async function replyText(submit) {
  submit.preventDefault();
  const text = $("reply-text").value.trim();
  if (!text) return;
  $("reply-text").value = "";
  state.typingUntil = 0;
  $("desk-typing").textContent = "";
  await reply(current(), { type: "text", text });
}

async function replyPicture() {
  const one = current();
  const picture = await choosePicture();
  if (!picture) return;
  const uploaded = await ifThere("desk-media", () => platform.upload(picture));
  render();
  if (uploaded) await reply(one, { type: "image", media_id: uploaded.media_id });
}

async function reply(one, message) {
  const id = crypto.randomUUID(); // also the key that makes submitting it twice harmless
  const at = Math.max(Date.now(), one.at + 1);
  put(one, { id, own: true, at, status: "submitting", ...shape(message) });
  render();
  $("thread").scrollTop = $("thread").scrollHeight;
  try {
    const accepted = await platform.send(one.shop, { openid: one.openid, message }, id);
    const messageId = accepted.message_id;
    one.entries.delete(messageId); // a transcript read in the meantime
    Object.assign(one.entries.get(id), { messageId });
    update(one, id, state.outcomes.get(messageId) ?? accepted);
    watch(one, id);
  } catch (error) {
    Object.assign(one.entries.get(id), { status: "refused", error: { code: error.code, detail: error.message } });
    render();
  }
}

async function retry(one, id) {
  const entry = one.entries.get(id);
  const { messageId } = entry;
  try {
    const accepted = await platform.retry(one.shop, messageId);
    Object.assign(entry, { status: accepted.status, error: null, attempts: accepted.attempts });
    watch(one, id);
  } catch (error) {
    if (error instanceof Refusal && error.noSuchRoute) state.missing.add("retry");
    else emit("trouble", error);
  }
  render();
}

/** Poll until settled: webhooks bring outcomes only, and nothing while they are down. */
async function watch(one, id) {
  const entry = one.entries.get(id);
  if (entry.watched) return;
  entry.watched = true;
  const pending = () => one.entries.get(id) === entry && !SETTLED.includes(entry.status);
  for (let turn = 0; pending(); turn += 1) {
    await new Promise((resolve) => setTimeout(resolve, POLLS[Math.min(turn, POLLS.length - 1)]));
    if (!pending()) break;
    const seen = await platform.message(one.shop, entry.messageId).catch(() => null);
    if (seen) update(one, id, seen);
  }
  entry.watched = false;
}

async function type() {
  const one = current();
  if (!one || !$("show-typing").checked || state.missing.has("desk-typing")) return;
  const typing = $("reply-text").value !== "";
  if (typing === Date.now() < state.typingUntil) return;
  state.typingUntil = typing ? Date.now() + TYPING_EVERY : 0;
  let text = "";
  try {
    const { result } = await platform.typing(one.shop, one.openid, typing ? "typing" : "cancel");
    if (typing) text = t(`typing-${result}`);
  } catch (error) {
    if (error instanceof Refusal && error.noSuchRoute) state.missing.add("desk-typing");
    else text = t("typing-failed", { reason: error.message });
  }
  $("desk-typing").textContent = $("reply-text").value ? text : "";
  renderNote();
}

function announce(text) {
  $("announcer").textContent = text;
}

// Rendering

function render() {
  renderShops();
  renderBuyers();
  renderNote();
  renderThread();
}

/** One list of all shops, those with the latest activity first; a browser finds in it by typing. */
function renderShops() {
  const activity = (shop) => Math.max(0, ...casesOf(shop.business_id).map((one) => one.at));
  sync($("desk-shop"), find(state.shops, "", activity), {
    key: (shop) => shop.business_id,
    version: (shop) => [shop.nickname, unreadOf(shop), chosenLanguage()],
    create: (shop) => h("option", { value: shop.business_id }, shopWords(shop)),
  });
  if ($("desk-shop").value !== state.shop) $("desk-shop").value = state.shop;
}

function shopWords(shop) {
  const unread = unreadOf(shop);
  return unread ? `${shop.nickname} · ${t("unread", { count: unread })}` : shop.nickname;
}

function unreadOf(shop) {
  return casesOf(shop.business_id).reduce((sum, one) => sum + one.unread, 0);
}

function renderBuyers() {
  const cases = casesOf(state.shop);
  $("no-buyers").hidden = cases.length > 0;
  sync($("buyers"), cases, {
    key: (one) => `${one.shop} ${one.openid}`,
    version: (one) => [one === current(), one.unread, lastOf(one), chosenLanguage()],
    create: (one) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: "buyer",
            "aria-current": one === current() ? "true" : null,
            onclick: () => chooseBuyer(one.shop, one.openid),
          },
          avatar(one.openid),
          h("span", { class: "buyer-name" }, buyerName(one.openid)),
          h("span", { class: "buyer-last" }, lastOf(one)),
          badge(one.unread),
        ),
      ),
  });
}

function avatar(openid) {
  const circle = h("span", { class: "avatar", "aria-hidden": "true" }, openid.slice(-4, -2).toUpperCase());
  circle.style.setProperty("--hue", hueOf(openid));
  return circle;
}

function lastOf(one) {
  const last = ordered(one).findLast((entry) => !entry.note);
  if (last) return excerpt(last);
  return one.entries.size ? t("entered-note") : timeOfDay(one.at);
}

function ordered(one) {
  return [...one.entries.values()].sort((a, b) => a.at - b.at);
}

function renderNote() {
  const missing = [...state.missing].map((what) => t("not-there", { what: t(what) }));
  $("desk-note").hidden = missing.length === 0;
  const words = missing.join(" · ");
  if ($("desk-note").textContent !== words) $("desk-note").textContent = words;
  $("reply-picture").disabled = state.missing.has("desk-media");
}

function renderThread() {
  const one = current();
  $("thread").hidden = !one;
  $("reply").hidden = !one;
  $("no-choice").hidden = Boolean(one) || casesOf(state.shop).length === 0;
  if (!one) return;
  keepAtEnd($("thread"), () => {
    sync($("thread"), ordered(one), {
      key: (entry) => `${one.shop} ${one.openid} ${entry.id}`,
      version: (entry) => [entry.kind, entry.text, entry.note, entry.own, chosenLanguage()],
      create: (entry) => shown(one, entry),
    });
    for (const entry of ordered(one)) if (entry.own) renderOutcome(one, entry);
  });
  renderWindow(one);
}

function shown(one, entry) {
  if (entry.note) return line(`${buyerName(one.openid)} ${t(entry.note)} · ${timeOfDay(entry.at)}`);
  const extra = entry.own ? h("div", { class: "outcome", "aria-live": "off" }) : null;
  return bubble({ ...entry, from: buyerName(one.openid), extra });
}

function countDown() {
  const one = current();
  for (const entry of one?.entries.values() ?? []) if (isWaiting(entry)) renderOutcome(one, entry);
}

/** In place, so that a screen reader does not read the whole message again. */
function renderOutcome(one, entry) {
  const key = `${one.shop} ${one.openid} ${entry.id}`;
  const place = [...$("thread").children].find((child) => child.dataset.key === key);
  const outcome = place.querySelector(".outcome");
  const words = statusWords(entry);
  const version = JSON.stringify([entry.status, entry.error, words, chosenLanguage()]);
  if (outcome.dataset.version === version) return;
  outcome.dataset.version = version;
  outcome.dataset.status = entry.status;
  const parts = [h("span", { class: "status" }, words), why(entry), again(one, entry)];
  outcome.replaceChildren(...parts.filter(Boolean));
}

/** Whether it will be tried again. */
function isWaiting({ status, attempts, error }) {
  return !SETTLED.includes(status) && attempts && error;
}

function statusWords(entry) {
  const { status, attempts, attemptedAt } = entry;
  if (isWaiting(entry)) {
    const pause = PAUSES[attempts - 1] ?? PAUSES.at(-1);
    const left = pause - (Date.now() - attemptedAt) / 1000;
    return t("state-waiting", { attempts, time: remaining(Math.max(1, left)) });
  }
  const tries = attempts > 1 ? ` · ${t("attempts", { count: attempts })}` : "";
  return t(`state-${status}`) + tries;
}

function why({ status, error }) {
  const code = error?.errcode === undefined ? "" : ` (${error.errcode})`;
  if (status === "unknown") return h("span", { class: "why" }, t("unknown-help"));
  return error ? h("span", { class: "why" }, `${problemText(error)}${code}`) : null;
}

function again(one, { id, status }) {
  if (status !== "failed" && status !== "unknown") return null;
  if (state.missing.has("retry")) return null;
  return h("button", { type: "button", class: "quiet small", onclick: () => retry(one, id) }, t("retry"));
}

function renderWindow({ window }) {
  const seconds = window?.until ? (Date.parse(window.until) - Date.now()) / 1000 : 0;
  const values = { count: window?.remaining, time: remaining(seconds) };
  const closed = seconds > 0 ? "desk-window-used" : "desk-window-closed";
  const words = window ? t(window.open ? "desk-window" : closed, values) : "";
  $("desk-window").textContent = words;
}
