"""One event for one subscriber, the results of an attempt, and the back-off."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from wechat_kf.domain.clock import DAY, MINUTE, SECOND
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.subscription import Subscription, SubscriptionKey

RETENTION_MS = DAY
"""How long an event waits for its subscriber before it is dead."""

FIRST_BACKOFF_MS = 5 * SECOND
LONGEST_BACKOFF_MS = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `queued_at` is epoch milliseconds.

    `position` orders the deliveries of one lane: the sequence number that the queue gave it.
    """

    subscription_business_id: str
    subscription_id: str
    event: Event
    queued_at: int
    position: str = ""

    @property
    def key(self) -> SubscriptionKey:
        return self.subscription_business_id, self.subscription_id

    @property
    def lane(self) -> str:
        """The events of one buyer for one subscription, which are delivered in order."""
        return lane_of(self.subscription_id, self.event.openid)


def lane_of(subscription_id: str, openid: str) -> str:
    """Name a lane in printable ASCII; the queue uses it as the group."""
    text = f"{subscription_id}#{openid}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Delivered:
    """The subscriber accepted it."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A fault of the subscriber: retry later, as long as events are kept.

    `retry_after_ms` is what the subscriber asked for, `reason` a constant, `status` the HTTP status
    if there was one, and `excerpt` the beginning of the answer.
    """

    reason: str
    retry_after_ms: int | None = None
    status: int = 0
    excerpt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The subscriber does not take this event (4xx): it says nothing of the others."""

    reason: str
    status: int = 0
    excerpt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Gone(Refused):
    """The subscriber says that it is gone for good (410)."""


Failed = Deferred | Refused
DeliveryResult = Delivered | Failed


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """What the owner of a subscription is shown of a failed attempt."""

    at: int
    event_id: str
    event_type: str
    reason: str
    status: int
    took_ms: int
    excerpt: str = field(default="", repr=False)


def backoff_ms(tried_for_ms: int) -> int:
    """Return the pause after a failed attempt: as long as it has been tried so far.

    Attempts then come after 5, 10, 20, 40 … s, and finally every 10 minutes. A count of attempts is
    not needed: a FIFO queue cannot give one, since it hands out what is behind a waiting one too.
    """
    return min(max(tried_for_ms, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS)


class DeliveryQueue(Protocol):
    """Queues events per subscription and conversation."""

    def put(self, deliveries: list[Delivery]) -> None:
        """Return only when all are safe; a repeat of the same ones is harmless."""


class AttemptLog(Protocol):
    """The latest failed attempts of each subscription."""

    def add(self, key: SubscriptionKey, attempt: FailedAttempt) -> None:
        """Record one; never raises, and may leave some out when there are many."""

    def latest(self, key: SubscriptionKey, limit: int) -> Sequence[FailedAttempt]:
        """List the latest ones, newest first. Raises `UnavailableError`."""


class Subscriber(Protocol):
    """One kind of target. Never raises for what the other side does."""

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult: ...
