"""Post events as webhooks: CloudEvents, signed as Standard Webhooks 1.0 specifies.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime

from wechat_kf.adapters.webhooks.http_post import HttpPoster, PostError, Reply, Request
from wechat_kf.adapters.webhooks.webhook_url import parse_webhook_url
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.circuit import LONGEST_RETRY_AFTER_MS
from wechat_kf.domain.subscriptions.delivery import (
    Deferred,
    Delivered,
    DeliveryResult,
    Gone,
    Refused,
)
from wechat_kf.domain.subscriptions.subscription import Subscription

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
"""Structured mode of the CloudEvents HTTP binding, section 3.2."""

_GONE = 410
_TOO_MANY = 429
_ASKS_FOR_TIME = (_TOO_MANY, 503)


class WebhookSubscriber:
    """Implements `Subscriber` for targets of type `webhook`."""

    def __init__(self, poster: HttpPoster, clock: Clock, *, allow_loopback: bool = False) -> None:
        self._poster = poster
        self._clock = clock
        self._allow_loopback = allow_loopback

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """Post the event. Any 2xx is success; see `_read_result` for the rest."""
        now = self._clock()
        body = json.dumps(event.to_cloudevent(), ensure_ascii=False, separators=(",", ":")).encode()
        try:
            url = parse_webhook_url(
                subscription.target.address, allow_loopback=self._allow_loopback
            )
            secrets = subscription.signing_secrets(now)
            request = Request(url, make_headers(event.id, now // SECOND, body, secrets), body)
            return _read_result(self._poster.post(request), now)
        except PostError as error:
            return Deferred(error.reason)
        except ValueError:  # valid when it was stored: the rules have become stricter
            return Deferred("URL not allowed")


def make_headers(
    event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """Return the headers of a webhook: `timestamp` is Unix time, each secret adds a signature."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "wechat-kf",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, signed) for secret in secrets),
    }


def sign(secret: str, signed: bytes) -> str:
    """Return `v1,` and the base64 HMAC-SHA256; `secret` is `whsec_` and a base64 key."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _read_result(reply: Reply, now: int) -> DeliveryResult:
    """Tell a fault of the subscriber from its opinion of this event."""
    status, excerpt = reply.status, reply.excerpt
    reason = f"answered {status}"
    if 200 <= status < 300:
        return Delivered()
    if status == _GONE:
        return Gone(reason, status, excerpt)
    if status >= 500 or status == _TOO_MANY:
        asked_ms = (
            retry_after_ms(reply.retry_after or "", now) if status in _ASKS_FOR_TIME else None
        )
        return Deferred(reason, asked_ms, status, excerpt)
    return Refused(reason, status, excerpt)


def retry_after_ms(text: str, now: int) -> int | None:
    """Return the pause that a `Retry-After` asks for (RFC 9110, section 10.2.3).

    At most `LONGEST_RETRY_AFTER_MS`. None for anything but seconds or an HTTP date, and for an
    instant that has passed. Raises nothing, whatever the text is.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        asked_ms = int(text[:10]) * SECOND
    else:
        try:
            at = parsedate_to_datetime(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
            asked_ms = round(at.timestamp() * SECOND) - now
        except (ValueError, OverflowError, TypeError, IndexError, AttributeError):
            return None
    return min(asked_ms, LONGEST_RETRY_AFTER_MS) if asked_ms > 0 else None
