"""Which targets callers may choose: checks of URLs and names."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from wechat_kf.adapters.webhooks.webhook_url import parse_webhook_url
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.events import ANY_MERCHANT
from wechat_kf.domain.subscriptions.subscription import Target, TargetType

_BUSINESS_ID = "{business_id}"
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}([.]fifo)?")


@dataclass(frozen=True, slots=True)
class TargetRules:
    """Implements `AllowedTargets`.

    `own_queue_url` is the URL of any queue of this stack: it shows the account and region. In
    `queue_name_pattern`, `{business_id}` stands for the merchant, so that no merchant can subscribe
    another one's queue; for `*`, anything may follow what stands before it. The event bus is the
    platform's: only `*` may send there.
    """

    own_queue_url: str
    queue_name_pattern: str
    event_bus_name: str
    allow_loopback: bool = False

    def webhook(self, url: str) -> Target:
        """Check a public https URL. Raises InvalidRequestError."""
        try:
            parse_webhook_url(url, allow_loopback=self.allow_loopback)
        except ValueError as error:
            raise InvalidRequestError("target.url", str(error)) from None
        return Target(TargetType.WEBHOOK, url)

    def queue(self, business_id: str, queue_url: str) -> Target:
        """Check a queue's account, region and name. Raises InvalidRequestError."""
        home, _, _ = self.own_queue_url.rpartition("/")
        where, _, name = queue_url.rpartition("/")
        if where != home:
            raise InvalidRequestError("target.queue_url", f"must start with {home}/")
        pattern = self.queue_name_pattern.replace(_BUSINESS_ID, business_id)
        if business_id == ANY_MERCHANT:
            pattern = f"{self.queue_name_pattern.partition(_BUSINESS_ID)[0]}*"
        if not (fnmatch.fnmatchcase(name, pattern) and _QUEUE_NAME.fullmatch(name)):
            raise InvalidRequestError("target.queue_url", f"the queue's name must match {pattern}")
        return Target(TargetType.QUEUE, queue_url)

    def event_bus(self, business_id: str) -> Target:
        """Return the stack's own bus. Raises InvalidRequestError."""
        if business_id != ANY_MERCHANT:
            raise InvalidRequestError("target.type", "the event bus is for subscriptions of * only")
        return Target(TargetType.EVENT_BUS, self.event_bus_name)
