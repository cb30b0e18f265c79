"""Bringing one event to one subscriber: when to try again, and when to stop."""

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
        """When it has waited long enough, in epoch milliseconds."""
        return self.queued_at + RETENTION_MS


@dataclass(frozen=True, slots=True)
class Delivered:
    """The subscriber has it."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now. `retry_after_ms` is the subscriber's own wish; `reason` is short and constant."""

    reason: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The subscriber is gone for good (410)."""

    reason: str


DeliveryResult = Delivered | Deferred | Refused


def backoff_ms(tried_for_ms: int) -> int:
    """The pause after a failed try: as long again as it has been tried so far.

    Tries then come after 5, 10, 20, 40 … s, and every 2 h in the end. It needs no count of tries,
    which a FIFO queue cannot give: there, all messages behind a waiting one are received with it.
    """
    return min(max(tried_for_ms, FIRST_BACKOFF_MS), LONGEST_BACKOFF_MS)


class DeliveryQueue(Protocol):
    """Lines events up per subscription and conversation."""

    def put(self, deliveries: list[Delivery]) -> None:
        """Returns only when all are safe; a repeat of the same ones is harmless."""


class DeadLetters(Protocol):
    """Where deliveries go that we gave up; an operator can put them back in line."""

    def put(self, delivery: Delivery, reason: str) -> None:
        """Returns only when it is safe. `reason` is short: it can be searched for."""


class Subscriber(Protocol):
    """One kind of target. Never raises for what the other side does."""

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult: ...
