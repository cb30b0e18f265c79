"""The table of endpoints, and the checks every call goes through before its own."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from wechat_kf_local.simulator.api import (
    business_calls,
    diagnostic_calls,
    media_calls,
    message_calls,
    token_calls,
)
from wechat_kf_local.simulator.api.calls import Call
from wechat_kf_local.simulator.api.replies import (
    JSON_TYPE,
    NOT_FOUND,
    PLAIN_TYPE,
    Reply,
    json_reply,
    refusal,
)
from wechat_kf_local.simulator.records import Request, digest
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World

Action = Callable[[World, Call], dict[str, Any] | Reply]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One API. `capability` is the setting that must be on; `plain` answers are text/plain."""

    action: Action
    method: str = "POST"
    takes_token: bool = True
    takes_json: bool = True
    capability: str | None = None
    plain: bool = False


_business = partial(Endpoint, capability="sub_merchants_allowed")
_message = partial(Endpoint, capability="customer_service_allowed")
_read = partial(Endpoint, method="GET", takes_json=False)

PATHS: Final[Mapping[str, Endpoint]] = {
    "/cgi-bin/token": _read(token_calls.classic_token, takes_token=False, plain=True),
    "/cgi-bin/stable_token": Endpoint(token_calls.stable_token, takes_token=False, plain=True),
    "/cgi-bin/business/register": _business(business_calls.register),
    "/cgi-bin/business/update": _business(business_calls.update),
    "/cgi-bin/business/get": _business(business_calls.get),
    "/cgi-bin/business/list": _business(business_calls.list_page),
    "/cgi-bin/message/custom/business/send": _message(message_calls.send_as_sub_merchant),
    "/cgi-bin/message/custom/send": _message(message_calls.send),
    "/cgi-bin/message/custom/business/typing": _message(message_calls.typing),
    "/cgi-bin/media/upload": Endpoint(media_calls.upload, takes_json=False, plain=True),
    "/cgi-bin/media/get": _read(media_calls.download, plain=True),
    "/cgi-bin/openapi/quota/get": Endpoint(
        lambda world, call: diagnostic_calls.get_quota(world, call, frozenset(PATHS))
    ),
    "/cgi-bin/clear_quota": Endpoint(diagnostic_calls.clear_quota),
    "/cgi-bin/clear_quota/v2": Endpoint(diagnostic_calls.clear_quota_by_secret, takes_token=False),
    "/cgi-bin/openapi/rid/get": Endpoint(diagnostic_calls.get_rid),
    "/cgi-bin/getcallbackip": _read(diagnostic_calls.callback_ips),
    "/cgi-bin/get_api_domain_ip": _read(diagnostic_calls.api_domain_ips),
    "/cgi-bin/callback/check": Endpoint(diagnostic_calls.callback_check),
}

# An account whose quota is used up must still be able to look into it and to reset it.
_UNMETERED: Final = frozenset(
    {"/cgi-bin/openapi/quota/get", "/cgi-bin/clear_quota", "/cgi-bin/clear_quota/v2"}
)


class Api:
    """Answers calls, one after the other, and records them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def answer(self, call: Call, *, fault: str | None = None) -> Reply:
        """What WeChat answers to a call that reached it; `fault` is what will befall the answer."""
        endpoint = PATHS.get(call.path)
        if endpoint is None:
            self._world.records.count("not_found", call.path)
            return NOT_FOUND
        started = time.perf_counter()
        rid = self._world.records.new_rid()
        reply = self._reply(endpoint, call, rid)
        cost_in_ms = round((time.perf_counter() - started) * 1000)
        self._record(call, reply, rid, fault=fault, cost_in_ms=cost_in_ms)
        return reply

    def refuse(self, call: Call, errcode: int, *, fault: str) -> Reply:
        """An errcode out of order, with nothing done."""
        rid = self._world.records.new_rid()
        reply = refusal(errcode, Refused(errcode).text, rid, JSON_TYPE)
        self._record(call, reply, rid, fault=fault)
        return reply

    def ignore(self, call: Call, *, fault: str) -> None:
        """Record a call that WeChat never got to work on."""
        self._world.records.call(
            **_facts(call), errcode=None, rid=None, fault=fault, **_message_of(call)
        )

    def _reply(self, endpoint: Endpoint, call: Call, rid: str) -> Reply:
        content_type = PLAIN_TYPE if endpoint.plain else JSON_TYPE
        try:
            self._admit(endpoint, call)
            result = endpoint.action(self._world, call)
        except Refused as refused:
            return refusal(refused.errcode, refused.text, rid, content_type)
        return result if isinstance(result, Reply) else json_reply(result, content_type)

    def _admit(self, endpoint: Endpoint, call: Call) -> None:
        settings = self._world.settings
        if call.method != endpoint.method:
            raise Refused(43002 if endpoint.method == "POST" else 43001)
        if endpoint.takes_token:
            self._world.tokens.check(call.query.get("access_token", ""))
        if endpoint.capability and not getattr(settings, endpoint.capability):
            raise Refused(48001)
        if call.path not in _UNMETERED:
            self._world.quotas.spend(call.path)
        if endpoint.takes_json:
            call.check_body(reject_escapes=settings.reject_unicode_escapes)

    def _record(
        self, call: Call, reply: Reply, rid: str, *, fault: str | None, cost_in_ms: int = 0
    ) -> None:
        records = self._world.records
        if reply.errcode:  # only a refusal names its rid
            request = Request(
                invoke_time=self._world.clock.now(),
                cost_in_ms=cost_in_ms,
                url=call.url,
                body="" if call.upload else call.body.decode("utf-8", "replace"),
                answer=reply.body.decode("utf-8"),
                client_ip=call.client_ip,
            )
            records.remember(rid, request)
        message = _message_of(call)
        records.call(
            **_facts(call),
            errcode=reply.errcode,
            rid=rid,
            fault=fault,
            **message,
            wire=_wire(call, reply) if message else None,
        )


def _facts(call: Call) -> dict[str, Any]:
    return {
        "method": call.method,
        "path": call.path,
        "openid": call.openid,
        "business_id": call.business_id,
    }


def _wire(call: Call, reply: Reply) -> dict[str, str]:
    """A send and its answer as they went over the wire, without the token."""
    query = "&".join(f"{name}=…" for name in call.query)
    body = call.body.decode("utf-8", "replace")
    request = f"{call.method} {call.path}?{query}\n\n{body}"
    return {"wechat_request": request, "wechat_answer": reply.body.decode()}


def _message_of(call: Call) -> dict[str, Any]:
    """The message of a send, for the records."""
    document = call.document
    if not isinstance(document, dict) or not isinstance(document.get("msgtype"), str):
        return {}
    msgtype = document["msgtype"]
    content = document.get(msgtype)
    return {"msgtype": msgtype, "content": content, "digest": digest(content)}
