"""Quotas and the network as WeChat reports them.

Source: docs/wechat-api.md, section 11.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wechat_kf.wechat import operations, replies


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `call_count` calls in `refresh_second` seconds."""

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


def read_quota(document: Mapping[str, Any]) -> Quota:
    operation = operations.QUOTA
    day = replies.require_object(document, "quota", operation)
    return Quota(
        daily_limit=replies.require_integer(day, "daily_limit", operation),
        used=replies.require_integer(day, "used", operation),
        remain=replies.require_integer(day, "remain", operation),
        rate_limit=_rate_limit(document),
    )


def read_callback_check(document: Mapping[str, Any]) -> CallbackCheck:
    operation = operations.CALLBACK_CHECK
    return CallbackCheck(
        dns=tuple(
            DnsAnswer(_read_text(item, "ip"), _read_text(item, "real_operator"))
            for item in replies.read_objects(document, "dns", operation)
        ),
        ping=tuple(
            PingAnswer(
                _read_text(item, "ip"),
                _read_text(item, "from_operator"),
                _read_text(item, "package_loss"),
                _read_text(item, "time"),
            )
            for item in replies.read_objects(document, "ping", operation)
        ),
    )


def read_addresses(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return `ip_list`: single addresses or ranges; the docs' table calls the array a string."""
    found = document.get("ip_list") or []
    entries = [found] if isinstance(found, str) else found
    if not isinstance(entries, list):
        raise replies.malformed(operations.CALLBACK_IPS, "ip_list")
    return tuple(str(entry) for entry in entries)


def _rate_limit(document: Mapping[str, Any]) -> RateLimit | None:
    limit = document.get("rate_limit")
    if not isinstance(limit, dict) or not limit:
        return None
    return RateLimit(
        call_count=replies.require_integer(limit, "call_count", operations.QUOTA),
        refresh_second=replies.require_integer(limit, "refresh_second", operations.QUOTA),
    )


def _read_text(document: Mapping[str, Any], name: str) -> str:
    """Return a field as text, empty if it is absent: nothing depends on these."""
    value = document.get(name)
    return "" if value is None else str(value)
