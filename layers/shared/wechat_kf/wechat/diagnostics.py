"""Quotas, past requests and the network (docs/wechat-api.md, section 11.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.wechat import operations, replies
from wechat_kf.wechat.operations import Operation

CHECK_ACTIONS = ("all", "dns", "ping")
CHECK_OPERATORS = ("DEFAULT", "CHINANET", "UNICOM", "CAP")

_TOKEN_IN_URL = re.compile(r"(access_token=)[^&#\s]*")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``call_count`` calls in ``refresh_second`` seconds."""

    call_count: int
    refresh_second: int


@dataclass(frozen=True, slots=True)
class Quota:
    """Calls of one API per day: allowed, used, left; and its rate limit where it has one."""

    daily_limit: int
    used: int
    remain: int
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class PastRequest:
    """What WeChat remembers of a request, looked up by its rid.

    The access token is cut out of the URL. The bodies may hold customers' words: do not log them.
    """

    invoke_time: int
    cost_in_ms: int
    client_ip: str
    request_url: str = field(repr=False)
    request_body: str = field(repr=False)
    response_body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """An address our callback host resolves to, and the network operator that found it."""

    ip: str
    real_operator: str


@dataclass(frozen=True, slots=True)
class PingAnswer:
    """How an address of our callback host answered to a ping, with the loss as WeChat words it."""

    ip: str
    from_operator: str
    package_loss: str
    time: str


@dataclass(frozen=True, slots=True)
class CallbackCheck:
    """The outcome of a network check of our callback URL."""

    dns: tuple[DnsAnswer, ...]
    ping: tuple[PingAnswer, ...]


def quota(document: Mapping[str, Any]) -> Quota:
    operation = operations.QUOTA
    day = replies.mapping(document, "quota", operation)
    return Quota(
        daily_limit=replies.integer(day, "daily_limit", operation),
        used=replies.integer(day, "used", operation),
        remain=replies.integer(day, "remain", operation),
        rate_limit=_rate_limit(document),
    )


def past_request(document: Mapping[str, Any]) -> PastRequest:
    operation = operations.RID
    request = replies.mapping(document, "request", operation)
    return PastRequest(
        invoke_time=replies.integer(request, "invoke_time", operation),
        cost_in_ms=replies.integer(request, "cost_in_ms", operation),
        client_ip=_loose(request, "client_ip"),
        request_url=_TOKEN_IN_URL.sub(r"\1***", _loose(request, "request_url")),
        request_body=_loose(request, "request_body"),
        response_body=_loose(request, "response_body"),
    )


def callback_check(document: Mapping[str, Any]) -> CallbackCheck:
    operation = operations.CALLBACK_CHECK
    return CallbackCheck(
        dns=tuple(
            DnsAnswer(_loose(item, "ip"), _loose(item, "real_operator"))
            for item in replies.mappings(document, "dns", operation)
        ),
        ping=tuple(
            PingAnswer(
                _loose(item, "ip"),
                _loose(item, "from_operator"),
                _loose(item, "package_loss"),
                _loose(item, "time"),
            )
            for item in replies.mappings(document, "ping", operation)
        ),
    )


def addresses(document: Mapping[str, Any], operation: Operation) -> tuple[str, ...]:
    """Return ``ip_list``: single addresses or ranges; the docs' table calls the array a string."""
    found = document.get("ip_list") or []
    entries = [found] if isinstance(found, str) else found
    if not isinstance(entries, list):
        raise replies.malformed(operation, "ip_list")
    return tuple(str(entry) for entry in entries)


def _rate_limit(document: Mapping[str, Any]) -> RateLimit | None:
    limit = document.get("rate_limit")
    if not isinstance(limit, dict) or not limit:
        return None
    return RateLimit(
        call_count=replies.integer(limit, "call_count", operations.QUOTA),
        refresh_second=replies.integer(limit, "refresh_second", operations.QUOTA),
    )


def _loose(document: Mapping[str, Any], name: str) -> str:
    """Return a field as text, empty if it is absent: nothing depends on these."""
    value = document.get(name)
    return "" if value is None else str(value)
