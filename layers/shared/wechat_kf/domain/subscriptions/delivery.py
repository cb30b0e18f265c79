"""One event for one subscriber, the results of an attempt, and the back-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wechat_kf.domain.clock import DAY, HOUR, SECOND
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.subscription import Subscription

RETENTION_MS = DAY
"""How long an event waits for its subscriber before it is dead-lettered."""

FIRST_BACKOFF_MS = 5 * SECOND
LONGEST_BACKOFF_MS = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `queued_at` is epoch milliseconds."""

    subscription_business_id: str
    subscription_id: str
    event: Event
    queued_at: int

    @property
    def expires_at(self) -> int:
        """When we give it up, in epoch milliseconds."""
        return self.queued_at + RETENTION_MS


@dataclass(frozen=True, slots=True)
class Delivered:
    """The subscriber accepted it."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Retry later. `retry_after_ms` is what the subscriber asked for; `reason` is a constant."""

    reason: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The subscriber is gone for good (410)."""

    reason: str


DeliveryResult = Delivered | Deferred | Refused


def backoff_ms(tried_for_ms: int) -> int:
    """Return the pause after a failed attempt: as long as it has been tried so far.

    Attempts then come after 5, 10, 20, 40 … s, and finally every 2 h. A count of attempts is not
    needed: a FIFO queue cannot give one, since all messages behind a waiting one are received too.
    """
    return min(max(tried_for_ms, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS)


class DeliveryQueue(Protocol):
    """Queues events per subscription and conversation."""

    def put(self, deliveries: list[Delivery]) -> None:
        """Return only when all are safe; a repeat of the same ones is harmless."""


class DeadLetters(Protocol):
    """Where deliveries go that we gave up; an operator can replay them."""

    def put(self, delivery: Delivery, reason: str) -> None:
        """Return only when it is safe. `reason` is a short constant that can be searched for."""


class Subscriber(Protocol):
    """One kind of target. Never raises for what the other side does."""

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult: ...
