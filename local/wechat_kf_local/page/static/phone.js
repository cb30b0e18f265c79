// The buyer's phone: shops to contact, one conversation with each.

import { wechat } from "./api.js";
import { emit, on } from "./bus.js";
import { h, keepAtEnd, sync } from "./dom.js";
import { chosenLanguage, remaining, t } from "./i18n.js";
import { bubble, excerpt, line } from "./messages.js";
import { buyerName, localPicture } from "./names.js";
import { base64, choosePicture } from "./pictures.js";
import { find } from "./shops.js";

const ROWS = 40; // more come as one scrolls
const MOST = 5; // messages that WeChat allows in a window
const CARD_PATH = "pages/item/item?id=88";

const $ = (id) => document.getElementById(id);

const state = {
  appId: "",
  shops: [],
  buyers: [],
  openid: "",
  shop: null, // the business id of the open conversation
  phone: { now: 0, conversations: [] },
  ahead: 0, // how far WeChat's clock is ahead of ours, in seconds
  seen: new Map(), // business id → messages of the shop that were read
  rows: ROWS,
};

export function start() {
  $("say").addEventListener("submit", sayText);
  $("say-picture").addEventListener("click", sayPicture);
  $("say-card").addEventListener("click", () =>
    act("card", { title: t("card-title"), page_path: CARD_PATH, thumb: false }),
  );
  $("back").addEventListener("click", closeShop);
  $("new-buyer").addEventListener("click", addBuyer);
  $("shop-search").addEventListener("input", () => {
    state.rows = ROWS;
    $("shops").scrollTop = 0;
    renderShops();
  });
  $("shops").addEventListener("scroll", showMore);
  $("buyer").addEventListener("change", () => become($("buyer").value));
  on("wechat", follow);
  on("language", render);
  setInterval(renderWindow, 1000);
}

/** The buyers of an app live in this browser; each stack has an app of its own. */
export function use({ appId, shops }) {
  if (appId !== state.appId) {
    state.appId = appId;
    state.buyers = JSON.parse(localStorage.getItem(`buyers ${appId}`) ?? "[]");
    if (state.buyers.length) become(state.buyers[0]);
    else addBuyer();
  }
  state.shops = shops;
  render();
}

function addBuyer() {
  const digits = crypto.getRandomValues(new Uint8Array(12));
  const openid = `o${[...digits].map((digit) => digit.toString(16).padStart(2, "0")).join("")}`;
  state.buyers = [openid, ...state.buyers].slice(0, 8);
  localStorage.setItem(`buyers ${state.appId}`, JSON.stringify(state.buyers));
  become(openid);
}

function become(openid) {
  state.openid = openid;
  state.shop = null;
  state.phone = { now: 0, conversations: [] };
  state.seen.clear();
  refresh();
  render();
}

// Events from WeChat

function follow(event) {
  const openid = event.openid ?? event.message?.openid;
  if (openid === state.openid || event.kind === "clock" || event.kind === "reset") refresh();
}

let refreshing = false;
let again = false;

/** Reload the whole phone; events in the meantime cause one more reload. */
export async function refresh() {
  if (refreshing) {
    again = true;
    return;
  }
  refreshing = true;
  try {
    const phone = await wechat.phone(state.openid);
    if (phone.openid === state.openid) {
      state.phone = phone;
      state.ahead = phone.now - Date.now() / 1000;
      render();
    }
  } catch (error) {
    emit("trouble", error);
  }
  refreshing = false;
  if (again) {
    again = false;
    refresh();
  }
}

// Actions of the buyer

async function openShop(businessId) {
  state.shop = businessId;
  render();
  $("chat").scrollTop = $("chat").scrollHeight;
  $("say-text").focus();
  await act("enter");
}

function closeShop() {
  const left = state.shop;
  state.shop = null;
  render();
  $("shops").querySelector(`[data-key="${left}"] button`)?.focus();
}

async function sayText(submit) {
  submit.preventDefault();
  const content = $("say-text").value.trim();
  if (!content) return;
  $("say-text").value = "";
  await act("text", { content });
}

async function sayPicture() {
  const picture = await choosePicture();
  if (picture) await act("image", { image_base64: await base64(picture) });
}

async function act(action, details = {}) {
  try {
    await wechat.act(state.openid, action, { business_id: state.shop, ...details });
  } catch (error) {
    emit("trouble", error);
  }
}

// Rendering

function render() {
  renderBuyers();
  renderShops();
  renderChat();
}

function renderBuyers() {
  const options = state.buyers.map((openid) => h("option", { value: openid }, buyerName(openid)));
  $("buyer").replaceChildren(...options);
  $("buyer").value = state.openid;
}

function showMore() {
  const { scrollTop, clientHeight, scrollHeight } = $("shops");
  if (scrollTop + clientHeight < scrollHeight - 200 || state.rows >= state.shops.length) return;
  state.rows += ROWS;
  renderShops();
}

function renderShops() {
  $("shops-view").hidden = state.shop !== null;
  $("shop-search").hidden = state.shops.length < 8;
  const found = find(state.shops, $("shop-search").value, activity);
  $("shops-none").hidden = found.length > 0 || state.shops.length === 0;
  sync($("shops"), found.slice(0, state.rows), {
    key: (shop) => shop.business_id,
    version: (shop) => [shop, lastWords(shop), unread(shop), chosenLanguage()],
    create: (shop) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "shop", onclick: () => openShop(shop.business_id) },
          h("img", { src: localPicture(shop.icon_url) ?? "/static/icon.svg", alt: "" }),
          h("span", { class: "shop-name" }, shop.nickname),
          h("span", { class: "shop-last" }, lastWords(shop)),
          badge(unread(shop)),
        ),
      ),
  });
}

export function badge(count) {
  if (!count) return null;
  return h(
    "span",
    { class: "badge" },
    h("span", { "aria-hidden": "true" }, count),
    h("span", { class: "unseen" }, t("unread", { count })),
  );
}

function conversationWith(businessId) {
  return state.phone.conversations.find((one) => one.business_id === businessId);
}

function activity(shop) {
  return conversationWith(shop.business_id)?.messages.at(-1)?.time ?? 0;
}

function lastWords(shop) {
  const last = conversationWith(shop.business_id)?.messages.at(-1);
  return last ? excerpt(shape(last)) : "";
}

function answersOf(conversation) {
  return conversation?.messages.filter((message) => message.sender === "merchant").length ?? 0;
}

function unread(shop) {
  const seen = state.seen.get(shop.business_id) ?? 0;
  return Math.max(0, answersOf(conversationWith(shop.business_id)) - seen);
}

/** Convert the simulator's message for `messages.js`. */
function shape(message) {
  const content = message.content;
  const picture = content.media_id ?? content.thumb_media_id;
  return {
    kind: { image: "picture", miniprogrampage: "card", link: "card" }[message.msgtype] ?? "text",
    text: message.sender === "notice" ? t("notice") : (message.text ?? content.head_content ?? ""),
    picture: picture ? wechat.pictureUrl(picture) : null,
    title: content.title ?? "",
    path: content.pagepath ?? content.page_path ?? content.url ?? "",
  };
}

function renderChat() {
  $("chat-view").hidden = state.shop === null;
  const shop = state.shops.find((one) => one.business_id === state.shop);
  if (!shop) return;
  const conversation = conversationWith(state.shop);
  state.seen.set(state.shop, answersOf(conversation));
  $("chat-shop").textContent = shop.nickname;
  const messages = conversation?.messages ?? [];
  keepAtEnd($("chat"), () =>
    sync($("chat"), messages, {
      key: (message) => `${state.shop} ${message.message_id}`,
      version: (message) => [message.message_id, chosenLanguage()],
      create: (message) => seenMessage(message, shop),
    }),
  );
  $("chat").dataset.empty = messages.length ? "" : t("phone-empty", { shop: shop.nickname });
  renderWindow();
}

function seenMessage(message, shop) {
  if (message.sender === "notice") return line(t("notice"));
  const own = message.sender === "buyer";
  const from = own ? t("you-say") : shop.nickname;
  return bubble({ ...shape(message), own, from, at: message.time * 1000 });
}

/** Update what depends on time: the window and the typing indicator. */
function renderWindow() {
  const shop = state.shops.find((one) => one.business_id === state.shop);
  const conversation = conversationWith(state.shop);
  if (!shop) return;
  const now = Date.now() / 1000 + state.ahead;
  const typing = conversation && now < conversation.typing_until ? t("typing-now") : "";
  if ($("chat-typing").textContent !== typing) $("chat-typing").textContent = typing;
  const { remaining: count = 0, deadline = 0 } = conversation?.window ?? {};
  const left = now < deadline ? count : 0;
  const pips = Array.from({ length: MOST }, (_, index) => h("i", { class: index < left && "full" }));
  $("window").querySelector(".pips").replaceChildren(...pips);
  const time = remaining(deadline - now);
  const values = { shop: shop.nickname, count: left, time };
  const closed = now < deadline ? "window-used" : "window-closed";
  $("window-text").textContent = t(left ? "window-open" : closed, values);
}
