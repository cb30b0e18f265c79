// The message path: each message's hops, collected from WeChat, the webhooks and the desk.

import { demo } from "./api.js";
import { on } from "./bus.js";
import { h, sync } from "./dom.js";
import { chosenLanguage, duration, t, timeOfDay } from "./i18n.js";
import { excerpt, shape } from "./messages.js";
import { buyerName } from "./names.js";
import { problemText } from "./problems.js";
import { showThing, thingOf } from "./things.js";

const KEPT = 40;
const TO_SHOP = ["said", "pushed", "queued", "acknowledged", "fanned-out", "delivered"];
const TO_BUYER = ["answered", "accepted", "claimed", "called", "shown", "recorded", "notified"];
const OF_PROGRAM = TO_BUYER.slice(2); // no page saw its request
const SEND = /\/send$/;
const TOKEN_REFUSED = [40001, 40014, 42001];
const OUTCOME = /^wechat\.kf\.message\.(sent|failed|unknown)$/;
const STATE_OF = { sent: "done", failed: "bad", unknown: "doubt" };

const $ = (id) => document.getElementById(id);

const FOLLOWERS = { wechat: followWeChat, webhook: followWebhook, api: followApi, function: followFunction };

let shops = [];
let traces = []; // newest first
let count = 0;
let waiting = {};
let frame = null;

export function start() {
  for (const [origin, follow] of Object.entries(FOLLOWERS)) {
    on(origin, follow);
    on(`past-${origin}`, follow);
  }
  on("queues", (event) => {
    waiting = event.waiting;
    render();
  });
  on("answer-settled", ({ id }) => {
    const trace = answerOf(id);
    if (trace) trace.open = false;
  });
  on("connected", clear); // all that is kept comes again
  on("language", render);
  render();
}

export function use(use) {
  shops = use.shops;
  render();
}

// Traces

function clear() {
  traces = [];
  render();
}

/** Begin a trace with `event`, which says when it happened. */
function begin(direction, event, facts, names = direction === "to-shop" ? TO_SHOP : TO_BUYER) {
  const hops = Object.fromEntries(names.map((name) => [name, { state: "pending" }]));
  count += 1;
  const trace = { id: `trace ${count}`, direction, hops, startedAt: instant(event), tries: 0, open: true, ...facts };
  traces = [trace, ...traces].slice(0, KEPT);
  return trace;
}

/** `detail` is a text, or a key with its values; `event` is what happened, and when. */
function reach(trace, name, state, event, detail) {
  trace.startedAt = Math.min(trace.startedAt, instant(event));
  trace.hops[name] = { state, at: instant(event), detail, thing: thingOf(event) };
  render();
}

function note(event, key) {
  count += 1;
  traces = [{ id: `note ${count}`, note: key, startedAt: instant(event) }, ...traces].slice(0, KEPT);
  render();
}

/** In milliseconds, by the clock of the server where it happened. */
function instant(event) {
  return event.at * 1000;
}

/** The oldest trace of a conversation that fits: its messages go one after the other. */
function oldest(direction, { openid, business_id: shop }, fits) {
  return traces.findLast(
    (one) => one.direction === direction && one.openid === openid && one.shop === shop && fits(one),
  );
}

function answerOf(messageId) {
  return traces.find((one) => one.messageId === messageId && one.direction === "to-buyer");
}

/** Use the trace that `find` finds, now or once more after `patience` ms: events overtake one another. */
function soon(find, use, patience) {
  const attempt = (late) => {
    const found = find(late);
    if (found) use(found);
    return Boolean(found);
  };
  if (!attempt(false)) setTimeout(attempt, patience, true);
}

// To the shop

function followWeChat(event) {
  const follow = {
    said: beginSaid,
    entered: beginSaid,
    push_sent: followPush,
    push_answered: followAnswerToPush,
    call: ({ call, wire }) => SEND.test(call.path) && followCall({ ...call, wire, at: event.at }),
    message_shown: ({ message }) => followShown({ ...message, at: event.at }),
    tokens_killed: () => note(event, "note-killed"),
    token: ({ fresh }) => fresh && note(event, "note-token"),
    reset: clear,
  }[event.kind];
  follow?.(event);
}

function beginSaid(event) {
  const { kind, openid, business_id: shop, message } = event;
  const said = message && {
    kind: { image: "picture", miniprogrampage: "card" }[message.msgtype] ?? "text",
    text: message.text ?? "",
    title: message.content.title,
  };
  const facts = { openid, shop, said, entered: kind === "entered", messageId: message?.message_id };
  reach(begin("to-shop", event, facts), "said", "done", event);
}

function pushed(event) {
  return oldest("to-shop", event, (one) =>
    event.message_id ? one.messageId === event.message_id : one.entered && one.hops.acknowledged.state !== "done",
  );
}

function followPush(event) {
  const trace = pushed(event);
  if (!trace) return;
  trace.tries += 1;
  trace.eventId = event.event_id;
  const detail = trace.tries > 1 ? ["detail-try", { count: trace.tries }] : ["detail-encrypted"];
  reach(trace, "pushed", "done", event, detail);
}

function followAnswerToPush(event) {
  const trace = pushed(event);
  if (!trace) return;
  const accepted = event.verdict === "accepted";
  const what = event.status ? `HTTP ${event.status}` : event.error;
  if (accepted) reach(trace, "acknowledged", "done", event, ["detail-success"]);
  else reach(trace, "acknowledged", "bad", event, ["detail-push-bad", { what }]);
}

function followWebhook(webhook) {
  const { verified, answered, body } = webhook;
  const event = JSON.parse(body);
  if (OUTCOME.test(event.type)) {
    followOutcome(event, webhook);
    return;
  }
  const { message_id: messageId } = event.data;
  const trace = oldest("to-shop", event.data, (one) =>
    messageId ? one.messageId === messageId : one.entered && one.hops.delivered.state !== "done",
  );
  if (!trace || trace.hops.delivered.state === "done") return;
  const [state, detail] = receipt(verified, answered);
  reach(trace, "delivered", state, webhook, detail);
}

function receipt(verified, answered) {
  if (!verified) return ["bad", ["detail-forged"]];
  if (answered >= 300) return ["bad", ["detail-again", { status: answered }]];
  return ["done", ["detail-verified"]];
}

// To the buyer

/** What this page or another tab sends through the API. */
function followApi(event) {
  if (event.kind === "sending") {
    const [, , shop, , messageId] = event.path.split("/");
    const earlier = messageId && answerOf(messageId);
    const facts = { call: event.id, shop, messageId, openid: event.body?.openid, said: event.body && shape(event.body.message) };
    if (earlier) Object.assign(facts, { openid: earlier.openid, said: earlier.said });
    reach(begin("to-buyer", event, facts), "answered", "done", event);
    return;
  }
  const trace = traces.find((one) => one.call === event.id);
  if (!trace) return;
  if (event.status < 300) {
    trace.messageId = event.answer.message_id;
    reach(trace, "accepted", "done", event, ["detail-202"]);
  } else {
    trace.open = false;
    reach(trace, "accepted", "bad", event, problemText(event.answer));
  }
}

/** Whether this is the message that WeChat reports. */
function says({ said: { kind, text, title, picture } }, content) {
  if (kind === "picture") return picture === undefined || picture.endsWith(`/${content.media_id}`);
  return kind === "card" ? title === content.title : text === content.content;
}

/** An answer that no page sent, but a program. */
function foreign(message) {
  const { openid, business_id: shop, content } = message;
  const { content: text, title } = content;
  const kind = text ? "text" : title ? "card" : "picture";
  return begin("to-buyer", message, { openid, shop, said: { kind, text, title } }, OF_PROGRAM);
}

/** The answer of a program that an outcome is about: the oldest of the conversation without one. */
function answerOfProgram({ message_id: messageId, ...conversation }) {
  const trace = oldest("to-buyer", conversation, (one) => !one.call && !one.messageId);
  if (trace) trace.messageId = messageId;
  return trace;
}

function followShown(message) {
  const open = (one) => one.open && one.hops.shown.state !== "done" && says(one, message.content);
  reach(oldest("to-buyer", message, open) ?? foreign(message), "shown", "done", message);
}

function followCall(call) {
  const concluded = (one) => ["done", "doubt"].includes(one.hops.called.state);
  const open = (one) => one.open && !concluded(one) && says(one, call.content);
  const trace = oldest("to-buyer", call, open);
  if (!trace) return;
  trace.tries += 1;
  const [state, detail] = verdict(call);
  reach(trace, "called", state, call, detail);
}

function verdict({ errcode, fault }) {
  if (fault?.startsWith("cut")) return ["doubt", ["detail-cut"]];
  if (errcode === -1) return ["bad", ["detail-busy"]];
  if (TOKEN_REFUSED.includes(errcode)) return ["bad", ["detail-token"]];
  if (errcode) return ["bad", ["detail-errcode", { errcode }]];
  return ["done", [fault === "slow" ? "detail-slow" : "detail-ok"]];
}

function followOutcome(event, webhook) {
  const { verified, answered } = webhook;
  const notify = (trace) => {
    trace.open = false;
    const [receiptState, detail] = receipt(verified, answered);
    const settled = STATE_OF[event.data.status];
    if (receiptState === "bad") reach(trace, "notified", "bad", webhook, detail);
    else reach(trace, "notified", settled, webhook, [`state-${event.data.status}`]);
  };
  // The outcome may overtake the response to our own request, which brings the id.
  const find = (late) => answerOf(event.data.message_id) ?? (late && answerOfProgram(event.data));
  soon(find, notify, 500);
}

// Inside the bundle

/** A step that a function logged. `message_id` is only the beginning of one. */
function followFunction(step) {
  const { kind: hop, event_id: eventId, message_id: messageId, status } = step;
  const state = hop === "recorded" ? STATE_OF[status] : "done";
  if (!state) return;
  const find = () => traces.find((one) => (eventId ? one.eventId === eventId : one.messageId?.startsWith(messageId)));
  // A program's answer has its id when its outcome has come.
  soon(find, (trace) => reach(trace, hop, state, step), 2_000);
}

// Rendering

/** At the next frame, once for however many events: a page that opens hears a thousand at once. */
function render() {
  frame ??= requestAnimationFrame(draw);
}

function draw() {
  frame = null;
  renderQueues();
  $("way-empty").hidden = traces.length > 0;
  $("traces").hidden = traces.length === 0;
  sync($("traces"), traces, {
    key: (trace) => trace.id,
    version: (trace) => [trace.hops, trace.tries, shopName(trace.shop), chosenLanguage()],
    create: (trace) => (trace.note ? noteLine(trace) : traceLine(trace)),
  });
}

function renderQueues() {
  const rows = ["inbound", "deliveries", "outbound"].map((name) => {
    const number = waiting[name] ?? 0;
    return h(
      "div",
      { class: number && "busy" },
      h("dt", {}, t(`queue-${name}`)),
      h("dd", {}, t("waiting", { count: number })),
    );
  });
  $("queues").replaceChildren(...rows);
}

function shopName(id) {
  return shops.find((shop) => shop.business_id === id)?.nickname ?? id;
}

function noteLine(trace) {
  return h("li", { class: "trace aside" }, h("time", {}, timeOfDay(trace.startedAt)), t(trace.note));
}

function traceLine(trace) {
  const [buyer, shop] = [buyerName(trace.openid), shopName(trace.shop)];
  const ends = trace.direction === "to-shop" ? [buyer, shop] : [shop, buyer];
  return h(
    "li",
    { class: `trace ${trace.direction}` },
    h(
      "p",
      { class: "trace-head" },
      h("time", {}, timeOfDay(trace.startedAt)),
      h("span", {}, `${ends[0]} → ${ends[1]}`),
      h("strong", {}, trace.entered ? t("event-entered") : t("quoted", { text: excerpt(trace.said) })),
    ),
    h("ol", { class: "hops" }, inOrder(trace.hops).map((hop) => hopItem(trace, ...hop))),
  );
}

function rowOf({ direction, shop, openid, messageId, eventId }) {
  if (direction === "to-buyer") return messageId && demo.sentRow(shop, messageId);
  return eventId && messageId && demo.receivedRow(shop, openid, eventId);
}

/** What has happened by its time, and then what is still to come. */
function inOrder(hops) {
  return Object.entries(hops).sort(([, a], [, b]) => (a.at ?? Infinity) - (b.at ?? Infinity) || 0);
}

function hopItem(trace, name, { state, at, detail, thing }) {
  const latest = at === Math.max(...Object.values(trace.hops).map((hop) => hop.at ?? 0));
  const after = at ? `+${duration(Math.max(0, at - trace.startedAt))}` : "";
  const words = [
    h("span", { class: "hop-name" }, t(`hop-${name}`)),
    h("span", { class: "unseen" }, `: ${t(`hop-${state}`)}, `),
    h("span", { class: "hop-time" }, after),
    detail ? h("span", { class: "hop-detail" }, Array.isArray(detail) ? t(...detail) : detail) : null,
  ];
  const title = t(`hop-${name}`);
  const button = thing && { type: "button", class: "hop-open", onclick: () => showThing(title, thing, rowOf(trace)) };
  return h(
    "li",
    { class: `hop ${state} ${latest ? "latest" : ""}` },
    button ? h("button", button, words.filter(Boolean)) : words,
  );
}
