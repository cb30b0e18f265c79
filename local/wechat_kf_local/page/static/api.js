// Calls to the page's server, which forwards them to the deployed API and the simulator.

/** An error response, with the stable `code` of its problem document. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.error || `HTTP ${status}`);
    this.detail = this.message;
    this.status = status;
    this.code = problem.code ?? "error";
  }

  /** Whether the route itself is missing: an older stack, or one that is still being built. */
  get noSuchRoute() {
    return this.code === "no_such_route" || this.status === 405;
  }
}

async function call(method, path, { body, headers = {}, raw } = {}) {
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(path, {
    method,
    headers: { ...json, ...headers },
    body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
  });
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, document);
  return document;
}

/** The deployed API, used as the platform's own back end would. */
export const platform = {
  merchants: (cursor) =>
    call("GET", `/api/merchants?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`),
  subscriptions: (shop) => call("GET", `/api/merchants/${shop}/subscriptions`),
  changeSubscription: (shop, id, body) =>
    call("PATCH", `/api/merchants/${shop}/subscriptions/${id}`, { body }),
  attempts: (shop, id) => call("GET", `/api/merchants/${shop}/subscriptions/${id}/attempts`),
  actOnSubscription: (shop, id, action, body) =>
    call("POST", `/api/merchants/${shop}/subscriptions/${id}/${action}`, { body }),
  conversations: (shop) => call("GET", `/api/merchants/${shop}/conversations?limit=50`),
  conversation: (shop, openid) => call("GET", `/api/merchants/${shop}/conversations/${openid}`),
  transcript: (shop, openid) =>
    call("GET", `/api/merchants/${shop}/conversations/${openid}/messages?limit=100`),
  send: (shop, body, idempotencyKey) =>
    call("POST", `/api/merchants/${shop}/messages`, {
      body,
      headers: { "Idempotency-Key": idempotencyKey },
    }),
  message: (shop, id) => call("GET", `/api/merchants/${shop}/messages/${id}`),
  broadcast: (shop, id) => call("GET", `/api/merchants/${shop}/broadcasts/${id}`),
  recipients: (shop, id) => call("GET", `/api/merchants/${shop}/broadcasts/${id}/recipients?limit=100`),
  retry: (shop, id) => call("POST", `/api/merchants/${shop}/messages/${id}/retry`),
  typing: (shop, openid, command) =>
    call("POST", `/api/merchants/${shop}/typing`, { body: { openid, command } }),
  upload: (picture) =>
    call("POST", "/api/media", { raw: picture, headers: { "Content-Type": picture.type } }),
};

/** Simulated WeChat: what a buyer does and sees. */
export const wechat = {
  phone: (openid) => call("GET", `/wechat/buyers/${openid}/phone`),
  act: (openid, action, body) => call("POST", `/wechat/buyers/${openid}/${action}`, { body }),
  killTokens: () => call("POST", "/wechat/tokens/kill"),
  pictureUrl: (mediaId) => `/wechat/pictures/${encodeURIComponent(mediaId)}`,
};

/** The demo itself. */
export const demo = {
  read: () => call("GET", "/demo"),
  openShops: () => call("POST", "/demo/shops"),
  subscribe: (shop) => call("POST", `/demo/subscribe/${shop}`),
  sentRow: (shop, message) => call("GET", `/demo/rows/${shop}/${message}`),
  receivedRow: (shop, openid, event) => call("GET", `/demo/rows/${shop}/${openid}/${event}`),
  campaign: (shop, buyers, text) =>
    call("POST", "/demo/campaign", { body: { business_id: shop, buyers, text } }),
  turn: (switches) => call("PUT", "/demo/switches", { body: switches }),
};

/** Follow all events. `opened` is called at the start and after every reconnection. */
export function live({ opened, lost, happened }) {
  const stream = new EventSource("/live");
  stream.addEventListener("open", opened);
  stream.addEventListener("error", lost);
  stream.addEventListener("message", (message) => happened(JSON.parse(message.data)));
}
