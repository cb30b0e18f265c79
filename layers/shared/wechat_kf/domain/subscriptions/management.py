"""Manage subscriptions: create, read, change, test, rotate the secret, remove."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wechat_kf.app_errors import ConflictError, NotFoundError
from wechat_kf.domain.clock import DAY, Clock
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import BacklogSize, BacklogStore, DrainQueue
from wechat_kf.domain.subscriptions.delivery import (
    AttemptLog,
    Delivery,
    DeliveryQueue,
    FailedAttempt,
)
from wechat_kf.domain.subscriptions.sample_events import make_sample_event
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    SubscriptionStore,
    Target,
    TargetType,
)

MOST_PER_MERCHANT = 20
MOST_ATTEMPTS_SHOWN = 50
SECRET_OVERLAP_MS = DAY
"""How long a replaced secret still signs, beside its successor."""


def _make_id() -> str:
    return f"sub_{uuid.uuid4().hex}"


def create_secret() -> str:
    """Return a new Standard Webhooks secret: 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class SubscriptionManager:
    """Manages subscriptions; `business_id` may be `*` (all merchants) everywhere."""

    store: SubscriptionStore
    deliveries: DeliveryQueue
    backlog: BacklogStore
    drains: DrainQueue
    attempts: AttemptLog
    clock: Clock
    app_id: str
    make_id: Callable[[], str] = _make_id
    make_secret: Callable[[], str] = create_secret

    def create(
        self, business_id: str, target: Target, event_types: frozenset[str] = frozenset()
    ) -> Subscription:
        """Create an active subscription; a webhook's has a secret.

        Raises:
            ConflictError: this merchant has one with the same target, or too many.
        """
        others = self.store.list(business_id)
        for other in others:
            if other.target == target:
                raise ConflictError(
                    "there is a subscription with this target; change its event_types instead",
                    subscription_id=other.subscription_id,
                )
        if len(others) >= MOST_PER_MERCHANT:
            raise ConflictError(f"at most {MOST_PER_MERCHANT} subscriptions per merchant")
        subscription = Subscription(
            business_id=business_id,
            subscription_id=self.make_id(),
            target=target,
            event_types=event_types,
            created_at=self.clock(),
            secrets=(self.make_secret(),) if target.type is TargetType.WEBHOOK else (),
        )
        self.store.add(subscription)
        return subscription

    def list(self, business_id: str) -> Sequence[Subscription]:
        """List a merchant's subscriptions, oldest first, without their secrets."""
        return sorted(self.store.list(business_id), key=lambda found: found.created_at)

    def get(self, business_id: str, subscription_id: str) -> Subscription:
        """Return one subscription. Raises NotFoundError."""
        found = self.store.get(business_id, subscription_id)
        if found is None:
            raise NotFoundError("no such subscription")
        return found

    def remove(self, business_id: str, subscription_id: str) -> None:
        """Remove one; events that wait for it are dropped. Raises NotFoundError."""
        if not self.store.remove(business_id, subscription_id):
            raise NotFoundError("no such subscription")

    def change(
        self,
        business_id: str,
        subscription_id: str,
        *,
        event_types: frozenset[str] | None = None,
        status: SubscriptionStatus | None = None,
    ) -> Subscription:
        """Choose other events, pause, or resume; None changes nothing.

        A resumed subscription starts with a closed circuit.

        Raises:
            NotFoundError: there is no such subscription.
            ConflictError: somebody else changed it at the same moment.
        """
        found = self.get(business_id, subscription_id)
        changed = found
        if event_types is not None:
            changed = replace(changed, event_types=event_types)
        if status is not None and status is not found.status:
            changed = replace(changed, status=status, status_reason=_REASONS.get(status, ""))
        if changed != found:
            changed = self._update(changed)
        if status is SubscriptionStatus.ACTIVE:
            changed = self._start_afresh(changed)
        return changed

    def recover(self, business_id: str, subscription_id: str, since: int) -> Subscription:
        """Put the dead events that were queued at `since` or later back in line, and resume.

        Safe to repeat. What waits is tried at once. Raises as `change`.
        """
        found = self.get(business_id, subscription_id)
        self.backlog.open(found.key, self.clock())
        self.backlog.ask_recovery(found.key, since)
        return self.change(business_id, subscription_id, status=SubscriptionStatus.ACTIVE)

    def _start_afresh(self, subscription: Subscription) -> Subscription:
        """Close the circuit, and drain the backlog at once rather than within a minute."""
        now = self.clock()
        circuit = replace(subscription.circuit.recover(now), recovered_at=now)
        if self.store.move_circuit(subscription, circuit):
            subscription = replace(subscription, circuit=circuit)
        if subscription.parking_since:
            self.drains.wake(subscription.key, f"resumed {now}")
        return subscription

    def rotate_secret(self, business_id: str, subscription_id: str) -> Subscription:
        """Replace the secret; the previous one signs beside it for `SECRET_OVERLAP_MS`.

        Raises as `change`; ConflictError also when the target is not a webhook.
        """
        found = self.get(business_id, subscription_id)
        if found.target.type is not TargetType.WEBHOOK:
            raise ConflictError("only webhooks have a secret")
        return self._update(
            replace(
                found,
                secrets=(self.make_secret(), *found.secrets[:1]),
                previous_secret_until=self.clock() + SECRET_OVERLAP_MS,
            )
        )

    def list_attempts(self, business_id: str, subscription_id: str) -> Sequence[FailedAttempt]:
        """List the latest failed attempts, newest first. Raises NotFoundError."""
        found = self.get(business_id, subscription_id)
        return self.attempts.latest(found.key, MOST_ATTEMPTS_SHOWN)

    def size(self, subscription: Subscription) -> BacklogSize:
        """Count what waits for it and what is dead."""
        return self.backlog.size(subscription.key)

    def test(
        self,
        business_id: str,
        subscription_id: str,
        event_type: EventType = EventType.SUBSCRIPTION_TEST,
    ) -> Event:
        """Queue a test event like any other, whatever event types were chosen.

        Raises:
            NotFoundError: there is no such subscription.
            ConflictError: it is not active.
        """
        found = self.get(business_id, subscription_id)
        if found.status is not SubscriptionStatus.ACTIVE:
            raise ConflictError(f"the subscription is {found.status}")
        event = make_sample_event(event_type, found, self.app_id, self.clock())
        self.deliveries.put([Delivery(business_id, subscription_id, event, self.clock())])
        return event

    def _update(self, changed: Subscription) -> Subscription:
        if not self.store.update(changed):
            raise ConflictError("the subscription was changed at the same moment; please repeat")
        return replace(changed, revision=changed.revision + 1)


_REASONS = {SubscriptionStatus.PAUSED: "paused by a caller"}
