"""Bringing one event to one subscriber: when to try again, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.event import Event
from wechat_kf.domain.subscription import Subscription

RETENTION_MS = DAY
"""How long an event waits for its subscriber before it is dead-lettered."""

BACKOFF_MS = (5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one subscription; `queued_at` is epoch milliseconds."""

    subscription_business_id: str
    subscription_id: str
    event: Event
    queued_at: int


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


def backoff_ms(attempt: int, retry_after_ms: int | None) -> int:
    """The pause after the `attempt`-th try (from 1), honouring the subscriber's own wish."""
    own = BACKOFF_MS[min(max(attempt, 1), len(BACKOFF_MS)) - 1]
    return min(max(own, retry_after_ms or 0), 12 * HOUR - MINUTE)


class DeliveryQueue(Protocol):
    """Lines events up per subscription and conversation."""

    def put(self, deliveries: list[Delivery]) -> None:
        """Returns only when all are safe; a repeat of the same ones is harmless."""


class Subscriber(Protocol):
    """One kind of target. Never raises for what the other side does."""

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult: ...
