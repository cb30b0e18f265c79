"""The control API under /_sim/: the buyers, the settings, the faults and the records."""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from wechat_kf_local.png import plain_png
from wechat_kf_local.simulator.api.calls import business_id_of
from wechat_kf_local.simulator.buyers import Buyers, Manner, Outgoing
from wechat_kf_local.simulator.delivery import Postman
from wechat_kf_local.simulator.pushes import Fields, PushMaker
from wechat_kf_local.simulator.rules.conversations import MAIN_ACCOUNT
from wechat_kf_local.simulator.rules.faults import CALL_KINDS, PUSH_KINDS
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEARTBEAT_SECONDS: Final = 15
MAX_PAGE: Final = 1_000

OVERVIEW: Final = {
    "GET /_sim/config": "the settings, without the secrets",
    "PUT /_sim/config": "change settings; what is not named stays",
    "GET /_sim/merchants": "the sub-merchants",
    "POST /_sim/merchants": "register one without media: account_name, nickname",
    "GET /_sim/buyers": "the OpenIDs of all buyers",
    "POST /_sim/buyers": "a new buyer: openid (optional)",
    "POST /_sim/buyers/{openid}/enter": "business_id, session_from; all: mode, format, wait",
    "POST /_sim/buyers/{openid}/text": "business_id, content",
    "POST /_sim/buyers/{openid}/image": "business_id, image_base64 (optional)",
    "POST /_sim/buyers/{openid}/card": "business_id, title, page_path, thumb (true or false)",
    "POST /_sim/buyers/{openid}/other": "business_id, fields: a push of any type",
    "GET /_sim/buyers/{openid}/phone": "what the buyer sees, by conversation",
    "GET /_sim/buyers/{openid}/messages": "all messages the buyer sees, oldest first",
    "POST /_sim/buyers/{openid}/messages": "the same as text: business_id, text",
    "POST /_sim/push-raw": "any request to the push URL: query, body or body_base64, headers",
    "POST /_sim/verify-url": "WeChat's verification of the push URL",
    "GET /_sim/faults": "the faults in force, and all kinds there are",
    "POST /_sim/faults": "kind, match, openid, business_id, times or probability and seed",
    "DELETE /_sim/faults": "no more faults",
    "POST /_sim/tokens/kill": "refuse all tokens; keep_current: stable_token keeps giving it",
    "POST /_sim/clock": "advance: seconds",
    "POST /_sim/reset": "forget all but the settings; settings: true sets them back as well",
    "POST /_sim/idle": "wait until nothing is being pushed in the background",
    "GET /_sim/calls": "API calls; all lists: after, limit, path, openid, business_id",
    "GET /_sim/deliveries": "messages shown to buyers, in order",
    "GET /_sim/pushes": "pushes with their tries and the exact request",
    "GET /_sim/counters": "counts of all these",
    "GET /_sim/events": "everything as it happens (Server-Sent Events); since: an event's n",
}


class ControlError(Exception):
    """An order that cannot be carried out; the message says why."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The handlers of the control API."""

    def __init__(self, world: World, buyers: Buyers, postman: Postman) -> None:
        self._world = world
        self._buyers = buyers
        self._postman = postman
        self._initial = replace(world.settings)

    def routes(self) -> list[web.RouteDef]:
        buyer = "/_sim/buyers/{openid}"
        return [
            web.get("/_sim", self.overview),
            web.get("/_sim/", self.overview),
            web.get("/_sim/config", self.config),
            web.put("/_sim/config", self.configure),
            web.get("/_sim/merchants", self.merchants),
            web.post("/_sim/merchants", self.add_merchant),
            web.get("/_sim/buyers", self.all_buyers),
            web.post("/_sim/buyers", self.add_buyer),
            web.post(f"{buyer}/enter", self.enter),
            web.post(f"{buyer}/text", self.text),
            web.post(f"{buyer}/messages", self.text),
            web.post(f"{buyer}/image", self.image),
            web.post(f"{buyer}/card", self.card),
            web.post(f"{buyer}/other", self.other),
            web.get(f"{buyer}/phone", self.phone),
            web.get(f"{buyer}/messages", self.messages),
            web.get("/_sim/pictures/{media_id}", self.picture),
            web.post("/_sim/push-raw", self.push_raw),
            web.post("/_sim/verify-url", self.verify_url),
            web.get("/_sim/faults", self.faults),
            web.post("/_sim/faults", self.add_fault),
            web.delete("/_sim/faults", self.clear_faults),
            web.post("/_sim/tokens/kill", self.kill_tokens),
            web.post("/_sim/clock", self.advance),
            web.post("/_sim/reset", self.reset),
            web.post("/_sim/idle", self.idle),
            web.get("/_sim/calls", self.calls),
            web.get("/_sim/deliveries", self.deliveries),
            web.get("/_sim/pushes", self.pushes),
            web.get("/_sim/counters", self.counters),
            web.get("/_sim/events", self.events),
        ]

    async def overview(self, _request: web.Request) -> web.Response:
        return _json(OVERVIEW)

    # Settings

    async def config(self, _request: web.Request) -> web.Response:
        return _json(self._world.settings.public())

    async def configure(self, request: web.Request) -> web.Response:
        self._world.settings.update(await _order(request))
        return _json(self._world.settings.public())

    async def advance(self, request: web.Request) -> web.Response:
        seconds = (await _order(request)).get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise ControlError("advance: must be a number of seconds, 0 or more")
        self._world.clock.advance(seconds)
        self._world.records.events.publish("clock", advanced=seconds)
        return _json({"now": self._world.clock.now()})

    async def reset(self, request: web.Request) -> web.Response:
        if (await _order(request)).get("settings") is True:
            self._world.restore(self._initial)
        self._world.reset()
        self._world.records.events.publish("reset")
        return _json({"now": self._world.clock.now()})

    async def idle(self, _request: web.Request) -> web.Response:
        await self._postman.idle()
        return _json({})

    # Sub-merchants and buyers

    async def merchants(self, request: web.Request) -> web.Response:
        page = self._world.accounts.page(0, self._world.settings.max_sub_merchants)
        items = [
            {
                "business_id": str(merchant.business_id),
                "account_name": merchant.account_name,
                "nickname": merchant.nickname,
                "transfer_to_commkf": merchant.transfer_to_commkf,
            }
            for merchant in page
        ]
        return _json({"items": items})

    async def add_merchant(self, request: web.Request) -> web.Response:
        order = await _order(request)
        names = (_text(order, "account_name"), _text(order, "nickname"))
        icon = self._world.media.add("image", plain_png())
        created = self._world.accounts.register(*names, icon.media_id)
        self._world.records.registered(created)
        return _json({"business_id": str(created.business_id)})

    async def all_buyers(self, _request: web.Request) -> web.Response:
        return _json({"items": self._world.conversations.buyers})

    async def add_buyer(self, request: web.Request) -> web.Response:
        order = await _order(request)
        openid = _text(order, "openid", f"o{self._world.random.getrandbits(108):027x}")
        self._world.conversations.add_buyer(openid)
        return _json({"openid": openid})

    async def enter(self, request: web.Request) -> web.Response:
        openid, business_id, order = await self._buyers_order(request)
        session_from = _text(order, "session_from", "")
        manner = Manner.of(order, self._world)
        return _json(await self._buyers.enter(openid, business_id, session_from, manner))

    async def text(self, request: web.Request) -> web.Response:
        openid, business_id, order = await self._buyers_order(request)
        content = _text(order, "content" if "content" in order else "text")
        return await self._say(openid, business_id, self._buyers.text(content), order)

    async def image(self, request: web.Request) -> web.Response:
        openid, business_id, order = await self._buyers_order(request)
        content = _bytes(order, "image_base64") if "image_base64" in order else None
        outgoing = self._buyers.image(content, _base_url(request))
        return await self._say(openid, business_id, outgoing, order)

    async def card(self, request: web.Request) -> web.Response:
        openid, business_id, order = await self._buyers_order(request)
        outgoing = self._buyers.card(
            _text(order, "title", "商品"),
            _text(order, "page_path", "pages/index/index"),
            with_thumb=order.get("thumb") is not False,
            base_url=_base_url(request),
        )
        return await self._say(openid, business_id, outgoing, order)

    async def other(self, request: web.Request) -> web.Response:
        openid, business_id, order = await self._buyers_order(request)
        manner = Manner.of(order, self._world)
        fields = _push_fields(order.get("fields"))
        return _json(await self._buyers.other(openid, business_id, fields, manner))

    async def phone(self, request: web.Request) -> web.Response:
        return _json(self._buyers.phone(request.match_info["openid"], _base_url(request)))

    async def messages(self, request: web.Request) -> web.Response:
        return _json({"items": self._buyers.messages(request.match_info["openid"])})

    async def picture(self, request: web.Request) -> web.Response:
        media = self._world.media.picture(request.match_info["media_id"])
        if media is None:
            raise ControlError("no such picture", status=404)
        return web.Response(body=media.content, content_type=media.content_type)

    # Pushes out of order

    async def push_raw(self, request: web.Request) -> web.Response:
        order = await _order(request)
        body = (
            _bytes(order, "body_base64")
            if "body_base64" in order
            else _text(order, "body", "").encode("utf-8", "surrogatepass")
        )
        query, headers = _texts(order, "query"), _texts(order, "headers")
        method = _text(order, "method", "POST")
        attempt = await self._postman.post(body, query, method=method, headers=headers)
        return _json(attempt.described())

    async def verify_url(self, _request: web.Request) -> web.Response:
        """What WeChat does when the push configuration is saved (section 7.1)."""
        echostr = str(self._world.random.getrandbits(63))
        settings = self._world.settings
        maker = PushMaker(settings, mode="plain", body_format=settings.format)
        query = maker.verification(
            echostr,
            timestamp=str(int(time.time())),
            nonce=str(self._world.random.getrandbits(31)),
        )
        attempt = await self._postman.post(b"", query, method="GET", headers={})
        verified = attempt.status == 200 and attempt.body == echostr
        return _json({"verified": verified} | attempt.described())

    # Faults

    async def faults(self, _request: web.Request) -> web.Response:
        items = [fault.described() for fault in self._world.faults.all()]
        return _json({"items": items, "kinds": CALL_KINDS | PUSH_KINDS})

    async def add_fault(self, request: web.Request) -> web.Response:
        fault = self._world.faults.add(await _order(request)).described()
        self._world.records.events.publish("fault_ordered", fault=fault)
        return _json(fault)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._world.faults.clear()
        return _json({"items": []})

    async def kill_tokens(self, request: web.Request) -> web.Response:
        keep = (await _order(request)).get("keep_current") is True
        killed = self._world.tokens.kill(keep_current=keep)
        self._world.records.events.publish("tokens_killed", count=killed)
        return _json({"killed": killed})

    # Records

    async def calls(self, request: web.Request) -> web.Response:
        return _page(request, self._world.records.calls)

    async def deliveries(self, request: web.Request) -> web.Response:
        return _page(request, self._world.records.deliveries)

    async def pushes(self, request: web.Request) -> web.Response:
        return _page(request, self._world.records.pushes)

    async def counters(self, _request: web.Request) -> web.Response:
        return _json(self._world.records.counters)

    async def events(self, request: web.Request) -> web.StreamResponse:
        since = request.headers.get("Last-Event-ID") or request.query.get("since")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.headers["Cache-Control"] = "no-store"
        response.headers.update(cors_headers(request))
        await response.prepare(request)
        events = self._world.records.events
        with events.watch() as queue:
            for event in events.since(_number(since, "since")) if since else []:
                await response.write(_server_sent(event))
            await response.write(b": listening\n\n")
            await _stream(queue, response)
        return response

    async def _buyers_order(self, request: web.Request) -> tuple[str, int, Mapping[str, Any]]:
        """Who does it, in which conversation, and the rest of the order."""
        order = await _order(request)
        openid = request.match_info["openid"]
        known = openid in self._world.conversations.buyers
        if not known and not self._world.settings.auto_buyers:
            raise ControlError("no such buyer: POST /_sim/buyers makes one", status=404)
        business_id = business_id_of(order.get("business_id") or MAIN_ACCOUNT)
        if business_id != MAIN_ACCOUNT:
            self._world.accounts.by_id(business_id)
        return openid, business_id, order

    async def _say(
        self, openid: str, business_id: int, outgoing: Outgoing, order: Mapping[str, Any]
    ) -> web.Response:
        manner = Manner.of(order, self._world)
        return _json(await self._buyers.say(openid, business_id, outgoing, manner))


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Orders only from this machine's own pages, and errors as JSON that says what is wrong."""
    headers = cors_headers(request)
    if not headers and "Origin" in request.headers:
        return _json({"error": "this origin may not use the simulator"}, status=403)
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=headers)
    try:
        response = await handler(request)
    except ControlError as error:
        response = _json({"error": str(error)}, status=error.status)
    except Refused as refused:
        status = 404 if refused.errcode == 45071 else 409
        response = _json({"error": refused.text, "errcode": refused.errcode}, status=status)
    except ValueError as error:  # settings and faults explain themselves
        response = _json({"error": str(error)}, status=400)
    if not response.prepared:
        response.headers.update(headers)
    return response


def cors_headers(request: web.Request) -> dict[str, str]:
    """For pages served from this machine; none for any other origin."""
    origin = request.headers.get("Origin", "")
    host = origin.partition("://")[2]
    if host.partition(":")[0] not in ("127.0.0.1", "localhost") and not host.startswith("[::1]"):
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
        "Access-Control-Allow-Headers": "Content-Type, Last-Event-ID",
        "Vary": "Origin",
    }


async def _stream(queue: asyncio.Queue[Any], response: web.StreamResponse) -> None:
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                event = await queue.get()
        except TimeoutError:
            await response.write(b": still here\n\n")
            continue
        if event is None:
            return
        await response.write(_server_sent(event))


def _server_sent(event: Mapping[str, Any]) -> bytes:
    data = json.dumps(event, ensure_ascii=False)
    return f"id: {event['n']}\ndata: {data}\n\n".encode("utf-8", "replace")


def _page(request: web.Request, records: Iterable[Mapping[str, Any]]) -> web.Response:
    """One page of records, oldest first; `next` is what to pass as `after` for the next one."""
    query = request.query
    after = _number(query.get("after", "0"), "after")
    limit = min(_number(query.get("limit", "100"), "limit"), MAX_PAGE)
    wanted = {name: query[name] for name in ("path", "openid", "business_id") if name in query}
    found = (
        record
        for record in records
        if record["n"] > after and all(record.get(name) == value for name, value in wanted.items())
    )
    items = [record for record, _ in zip(found, range(limit), strict=False)]
    return _json({"items": items, "next": items[-1]["n"] if items else after})


def _base_url(request: web.Request) -> str:
    return f"http://{request.host}"


async def _order(request: web.Request) -> Mapping[str, Any]:
    body = await request.read()
    if not body.strip():
        return {}
    try:
        order = json.loads(body)
    except ValueError:
        raise ControlError("the body must be JSON") from None
    if not isinstance(order, dict):
        raise ControlError("the body must be a JSON object")
    return order


def _text(order: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = order.get(name, default)
    if not isinstance(value, str):
        raise ControlError(f"{name}: must be a text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ControlError(f"{name}: must not contain half characters (lone surrogates)")
    return value


def _texts(order: Mapping[str, Any], name: str) -> dict[str, str]:
    value = order.get(name, {})
    if not isinstance(value, dict):
        raise ControlError(f"{name}: must be an object")
    return {str(key): str(item) for key, item in value.items()}


def _bytes(order: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(_text(order, name), validate=True)
    except binascii.Error:
        raise ControlError(f"{name}: must be base64") from None


def _push_fields(value: Any) -> Fields:
    if not isinstance(value, dict) or "MsgType" not in value:
        raise ControlError("fields: must be an object with a MsgType")
    if not all(isinstance(item, str | int) for item in value.values()):
        raise ControlError("fields: must be texts and whole numbers")
    return value


def _number(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ControlError(f"{name}: must be a whole number") from None


def _json(document: Any, *, status: int = 200) -> web.Response:
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
