// The message path: each message's hops, collected from WeChat, the webhooks and the desk.

import { on } from "./bus.js";
import { h, sync } from "./dom.js";
import { chosenLanguage, duration, t, timeOfDay } from "./i18n.js";
import { excerpt } from "./messages.js";
import { buyerName } from "./names.js";

const KEPT = 40;
const TO_SHOP = ["said", "pushed", "queued", "delivered"];
const TO_BUYER = ["answered", "accepted", "called", "shown", "notified"];
const SEND = /\/send$/;
const TOKEN_REFUSED = [40001, 40014, 42001];
const OUTCOME = /^wechat\.kf\.message\.(sent|failed|unknown)$/;
const STATE_OF = { sent: "done", failed: "bad", unknown: "doubt" };

const $ = (id) => document.getElementById(id);

let shops = [];
let traces = []; // newest first
let count = 0;
let waiting = {};

export function start() {
  on("wechat", followWeChat);
  on("webhook", followWebhook);
  on("queues", (event) => {
    waiting = event.waiting;
    render();
  });
  on("answer-started", startAnswer);
  on("answer-accepted", ({ id, messageId }) => {
    const trace = traces.find((one) => one.id === id);
    if (!trace) return;
    trace.messageId = messageId;
    reach(trace, "accepted", "done", ["detail-202"]);
  });
  on("answer-refused", ({ id, reason }) => {
    const trace = traces.find((one) => one.id === id);
    if (trace) reach(trace, "accepted", "bad", reason);
    if (trace) trace.open = false;
  });
  on("answer-settled", ({ id }) => {
    const trace = answerOf(id);
    if (trace) trace.open = false;
  });
  on("language", render);
  render();
}

export function use(use) {
  shops = use.shops;
  render();
}

// Traces

function begin(direction, facts) {
  const names = direction === "to-shop" ? TO_SHOP : TO_BUYER;
  const hops = Object.fromEntries(names.map((name) => [name, { state: "pending" }]));
  count += 1;
  const trace = { id: `trace ${count}`, direction, hops, startedAt: Date.now(), tries: 0, open: true, ...facts };
  traces = [trace, ...traces].slice(0, KEPT);
  reach(trace, names[0], "done");
  return trace;
}

/** `detail` is a text, or a key with its values. */
function reach(trace, name, state, detail) {
  trace.hops[name] = { state, at: Date.now(), detail };
  render();
}

function note(key) {
  count += 1;
  traces = [{ id: `note ${count}`, note: key, startedAt: Date.now() }, ...traces].slice(0, KEPT);
  render();
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

// To the shop

function followWeChat(event) {
  const follow = {
    said: beginSaid,
    entered: beginSaid,
    push_sent: followPush,
    push_answered: followAnswerToPush,
    call: ({ call }) => SEND.test(call.path) && followCall(call),
    message_shown: ({ message }) => followShown(message),
    tokens_killed: () => note("note-killed"),
    token: ({ fresh }) => fresh && note("note-token"),
    reset: () => {
      traces = [];
      render();
    },
  }[event.kind];
  follow?.(event);
}

function beginSaid({ kind, openid, business_id: shop, message }) {
  const said = message && {
    kind: { image: "picture", miniprogrampage: "card" }[message.msgtype] ?? "text",
    text: message.text ?? "",
    title: message.content.title,
  };
  begin("to-shop", { openid, shop, said, entered: kind === "entered", messageId: message?.message_id });
}

function pushed(event) {
  return oldest("to-shop", event, (one) =>
    event.message_id ? one.messageId === event.message_id : one.entered && one.hops.queued.state !== "done",
  );
}

function followPush(event) {
  const trace = pushed(event);
  if (!trace) return;
  trace.tries += 1;
  const detail = trace.tries > 1 ? ["detail-try", { count: trace.tries }] : ["detail-encrypted"];
  reach(trace, "pushed", "done", detail);
}

function followAnswerToPush(event) {
  const trace = pushed(event);
  if (!trace) return;
  const accepted = event.verdict === "accepted";
  const what = event.status ? `HTTP ${event.status}` : event.error;
  if (accepted) reach(trace, "queued", "done", ["detail-success"]);
  else reach(trace, "queued", "bad", ["detail-push-bad", { what }]);
}

function followWebhook({ verified, answered, body }) {
  const event = JSON.parse(body);
  if (OUTCOME.test(event.type)) {
    followOutcome(event, { verified, answered });
    return;
  }
  const { message_id: messageId } = event.data;
  const trace = oldest("to-shop", event.data, (one) =>
    messageId ? one.messageId === messageId : one.entered && one.hops.delivered.state !== "done",
  );
  if (!trace || trace.hops.delivered.state === "done") return;
  const [state, detail] = receipt(verified, answered);
  reach(trace, "delivered", state, detail);
}

function receipt(verified, answered) {
  if (!verified) return ["bad", ["detail-forged"]];
  if (answered >= 300) return ["bad", ["detail-again", { status: answered }]];
  return ["done", ["detail-verified"]];
}

// To the buyer

function startAnswer({ id, shop, openid, messageId, kind, text, title, picture }) {
  const said = { kind, text, title, picture };
  const trace = begin("to-buyer", { id, shop, openid, messageId, said });
  if (messageId) reach(trace, "accepted", "done", ["detail-202"]);
}

/** Whether this is the message that WeChat reports. */
function says({ said: { kind, text, title, picture } }, content) {
  if (kind === "picture") return picture === undefined || picture.endsWith(`/${content.media_id}`);
  return kind === "card" ? title === content.title : text === content.content;
}

/** An answer that this page did not send: from another tab, or from a program. */
function foreign({ openid, business_id: shop, content }) {
  const { content: text, title } = content;
  const kind = text ? "text" : title ? "card" : "picture";
  return begin("to-buyer", { openid, shop, said: { kind, text, title } });
}

function followShown(message) {
  const open = (one) => one.open && one.hops.shown.state !== "done" && says(one, message.content);
  reach(oldest("to-buyer", message, open) ?? foreign(message), "shown", "done");
}

function followCall(call) {
  const concluded = (one) => ["done", "doubt"].includes(one.hops.called.state);
  const open = (one) => one.open && !concluded(one) && says(one, call.content);
  const trace = oldest("to-buyer", call, open);
  if (!trace) return;
  trace.tries += 1;
  const [state, detail] = verdict(call);
  reach(trace, "called", state, detail);
}

function verdict({ errcode, fault }) {
  if (fault?.startsWith("cut")) return ["doubt", ["detail-cut"]];
  if (errcode === -1) return ["bad", ["detail-busy"]];
  if (TOKEN_REFUSED.includes(errcode)) return ["bad", ["detail-token"]];
  if (errcode) return ["bad", ["detail-errcode", { errcode }]];
  return ["done", [fault === "slow" ? "detail-slow" : "detail-ok"]];
}

function followOutcome(event, { verified, answered }) {
  const notify = () => {
    const trace = answerOf(event.data.message_id);
    if (!trace) return false;
    trace.open = false;
    const [receiptState, detail] = receipt(verified, answered);
    const settled = STATE_OF[event.data.status];
    if (receiptState === "bad") reach(trace, "notified", "bad", detail);
    else reach(trace, "notified", settled, [`state-${event.data.status}`]);
    return true;
  };
  // The outcome may overtake the response to our own request, which brings the id.
  if (!notify()) setTimeout(notify, 500);
}

// Rendering

function render() {
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
    h("ol", { class: "hops" }, Object.entries(trace.hops).map((hop) => hopItem(trace, ...hop))),
  );
}

function hopItem(trace, name, { state, at, detail }) {
  const latest = at === Math.max(...Object.values(trace.hops).map((hop) => hop.at ?? 0));
  const after = at ? `+${duration(at - trace.startedAt)}` : "";
  return h(
    "li",
    { class: `hop ${state} ${latest ? "latest" : ""}` },
    h("span", { class: "hop-name" }, t(`hop-${name}`)),
    h("span", { class: "unseen" }, `: ${t(`hop-${state}`)}, `),
    h("span", { class: "hop-time" }, after),
    detail ? h("span", { class: "hop-detail" }, Array.isArray(detail) ? t(...detail) : detail) : null,
  );
}
