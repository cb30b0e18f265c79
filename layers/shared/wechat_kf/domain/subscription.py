"""Who wants to hear of what, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from wechat_kf.domain.event import ANY_MERCHANT, Event


class TargetType(StrEnum):
    WEBHOOK = "webhook"
    QUEUE = "queue"
    EVENT_BUS = "event_bus"


class SubscriptionStatus(StrEnum):
    """Only active ones get events; `disabled` is what a 410 or repeated failure leads to."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Target:
    """`address` is an https URL, a queue URL or an event bus name, by `type`."""

    type: TargetType
    address: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """`business_id` may be `*`; no `event_types` means all. `secrets`: the current one first."""

    business_id: str
    subscription_id: str
    target: Target
    event_types: frozenset[str] = frozenset()
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    created_at: int = 0
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def wants(self, event: Event) -> bool:
        """Whether this event goes to this subscriber."""
        return (
            self.status is SubscriptionStatus.ACTIVE
            and self.business_id in (event.business_id, ANY_MERCHANT)
            and (not self.event_types or event.type in self.event_types)
        )


class SubscriptionStore(Protocol):
    """Our table of subscriptions."""

    def add(self, subscription: Subscription) -> None: ...

    def get(self, business_id: str, subscription_id: str) -> Subscription | None: ...

    def list(self, business_id: str) -> Sequence[Subscription]:
        """A merchant's own subscriptions (or those of `*`), without their secrets."""

    def remove(self, business_id: str, subscription_id: str) -> bool:
        """False when there was none."""

    def set_status(
        self, business_id: str, subscription_id: str, status: SubscriptionStatus
    ) -> None: ...
