"""Events as webhooks: a CloudEvent, signed as the Standard Webhooks specification 1.0 says.

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

from wechat_kf.adapters.webhooks.http_post import Exchange, ExchangeError, Reply, Request
from wechat_kf.adapters.webhooks.webhook_url import parse_webhook_url
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered, DeliveryResult, Refused
from wechat_kf.domain.subscriptions.subscription import Subscription

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
"""Structured mode of the CloudEvents HTTP binding, section 3.2."""

_GONE = 410
_ASKS_FOR_TIME = (429, 503)


class WebhookSubscriber:
    """Implements `Subscriber` for targets of type `webhook`."""

    def __init__(self, exchange: Exchange, clock: Clock, *, allow_loopback: bool = False) -> None:
        self._exchange = exchange
        self._clock = clock
        self._allow_loopback = allow_loopback

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """Any 2xx is a receipt, 410 a farewell, everything else a reason to come again."""
        now = self._clock()
        body = json.dumps(event.to_cloudevent(), ensure_ascii=False, separators=(",", ":")).encode()
        try:
            url = parse_webhook_url(
                subscription.target.address, allow_loopback=self._allow_loopback
            )
            secrets = subscription.signing_secrets(now)
            request = Request(url, _headers(event.id, now // SECOND, body, secrets), body)
            reply = self._exchange.post(request)
        except ExchangeError as error:
            return Deferred(error.reason)
        except ValueError:  # it was good when it was stored: the rules are stricter now
            return Deferred("URL not allowed")
        return _result(reply, now)


def _headers(event_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    signed = f"{event_id}.{timestamp}.".encode() + body
    return {
        "Content-Type": CONTENT_TYPE,
        "User-Agent": "wechat-kf",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(secret, signed) for secret in secrets),
    }


def signature(secret: str, signed: bytes) -> str:
    """`v1,` and the base64 HMAC-SHA256 of `signed`; `secret` is `whsec_` and a base64 key."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _result(reply: Reply, now: int) -> DeliveryResult:
    if 200 <= reply.status < 300:
        return Delivered()
    reason = f"answered {reply.status}"
    if reply.status == _GONE:
        return Refused(reason)
    if reply.status in _ASKS_FOR_TIME and reply.retry_after:
        return Deferred(reason, retry_after_ms(reply.retry_after, now))
    return Deferred(reason)


def retry_after_ms(text: str, now: int) -> int | None:
    """How long a `Retry-After` asks us to wait: seconds or an HTTP date (RFC 9110, 10.2.3).

    None for anything else, and for what is over already.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text[:10]) * SECOND or None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0, round(at.timestamp() * SECOND) - now) or None
