"""A subscription: which events go to which target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from wechat_kf.domain.events import ANY_MERCHANT, Event
from wechat_kf.domain.subscriptions.circuit import Circuit


class TargetType(StrEnum):
    WEBHOOK = "webhook"
    QUEUE = "queue"
    EVENT_BUS = "event_bus"


class SubscriptionStatus(StrEnum):
    """Whether events are delivered.

    Active: delivered. Paused (by a caller, or by a day of failures): events wait, new ones too,
    each for up to 24 h. Disabled (the subscriber answered 410): new events are dropped, waiting
    ones wait on. A caller can reactivate either.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Target:
    """`address` is an https URL, a queue URL or an event bus name, by `type`."""

    type: TargetType
    address: str


class AllowedTargets(Protocol):
    """Which targets callers may choose. Raises `InvalidRequestError` for the others."""

    def webhook(self, url: str) -> Target: ...

    def queue(self, business_id: str, queue_url: str) -> Target: ...

    def event_bus(self, business_id: str) -> Target: ...


SubscriptionKey = tuple[str, str]
"""(business id, subscription id)"""


@dataclass(frozen=True, slots=True)
class LastError:
    """The latest failed attempt: what health shows."""

    at: int
    reason: str
    event_type: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """`business_id` may be `*`; no `event_types` means all. Instants are epoch milliseconds.

    `secrets`: the current one first, then the one before it, which signs too until
    `previous_secret_until`. `status_reason` says why it is not active. `revision` grows with every
    change that a caller makes. Events may be parked in the backlog since `parking_since`, see
    `wechat_kf.domain.subscriptions.backlog`; until `slow_until` all of them are.
    """

    business_id: str
    subscription_id: str
    target: Target
    event_types: frozenset[str] = frozenset()
    status: SubscriptionStatus = SubscriptionStatus.ACTIVE
    created_at: int = 0
    secrets: tuple[str, ...] = field(default=(), repr=False)
    previous_secret_until: int = 0
    status_reason: str = ""
    revision: int = 0
    circuit: Circuit = field(default_factory=Circuit)
    parking_since: int = 0
    slow_until: int = 0
    last_error: LastError | None = None

    @property
    def key(self) -> SubscriptionKey:
        return self.business_id, self.subscription_id

    @property
    def is_active(self) -> bool:
        return self.status is SubscriptionStatus.ACTIVE

    def wants(self, event: Event) -> bool:
        """Return whether this event goes to this subscriber, now or after its pause."""
        return (
            self.status is not SubscriptionStatus.DISABLED
            and self.business_id in (event.business_id, ANY_MERCHANT)
            and (not self.event_types or event.type in self.event_types)
        )

    def signing_secrets(self, now: int) -> tuple[str, ...]:
        """Return the secrets that sign a webhook at `now`, the current one first."""
        return self.secrets if now < self.previous_secret_until else self.secrets[:1]


class SubscriptionLister(Protocol):
    """The part of the store that the fan-out needs."""

    def list(self, business_id: str) -> Sequence[Subscription]:
        """List a merchant's own subscriptions (or those of `*`), without their secrets."""


class SubscriptionStore(SubscriptionLister, Protocol):
    """Our table of subscriptions. Every method raises `UnavailableError` when it fails."""

    def add(self, subscription: Subscription) -> None:
        """Store a new one, as a whole."""

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        """Read one with its secrets, consistently."""

    def remove(self, business_id: str, subscription_id: str) -> bool:
        """Remove one; False when there was none."""

    def update(self, subscription: Subscription) -> bool:
        """Write everything but the circuit, and the next revision.

        False, and nothing written, when it is gone or no longer at `subscription.revision`.
        """

    def note_failure(self, key: SubscriptionKey, error: LastError) -> None:
        """Write the last error, if the subscription is still there."""

    def count_failure(
        self, key: SubscriptionKey, event_id: str, error: LastError
    ) -> Circuit | None:
        """Write `Circuit.count_failure` and the last error, atomically.

        The circuit afterwards; None when the subscription is gone.
        """

    def mark_slow(self, key: SubscriptionKey, until: int) -> None:
        """Write `slow_until`, if the subscription is still there."""

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> bool:
        """Write `circuit`.

        False, and nothing written, when the subscription is gone or its circuit is no longer at
        `subscription.circuit.open_until`.
        """
