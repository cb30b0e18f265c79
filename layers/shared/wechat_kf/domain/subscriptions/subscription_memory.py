"""What one worker remembers of subscriptions, so that busy ones are not read for each event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wechat_kf.domain.clock import MINUTE, SECOND, Clock
from wechat_kf.domain.remembered import Remembered
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionLister,
    SubscriptionStatus,
    SubscriptionStore,
)
from wechat_kf.errors import UnavailableError


class SubscriptionMemory:
    """The store's rows, at most `ttl_ms` old; this worker's own changes show at once.

    Only active ones are remembered: no event waits or is given up because of an old status.
    """

    def __init__(self, store: SubscriptionStore, clock: Clock, ttl_ms: int = 3 * SECOND) -> None:
        self._store = store
        self._rows: Remembered[tuple[str, str], Subscription | None] = Remembered(clock, ttl_ms)

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        """Return the subscription with its secrets, or None when there is none."""
        return self._rows.get(
            (business_id, subscription_id),
            lambda: self._store.get(business_id, subscription_id),
            keep=lambda found: bool(found and found.status is SubscriptionStatus.ACTIVE),
        )

    def count_failure(self, subscription: Subscription, now: int) -> Subscription:
        """Count one more failure in its circuit and return the subscription."""
        key = _key(subscription)
        circuit = self._store.count_failure(*key, now)
        if circuit is None:
            self._rows.forget(key)
            return subscription
        return self._amend(replace(subscription, circuit=circuit))

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> Subscription | None:
        """Write `circuit`; None when another worker moved it before us."""
        if self._store.move_circuit(subscription, circuit):
            return self._amend(replace(subscription, circuit=circuit))
        self._rows.forget(_key(subscription))
        return None

    def update(self, subscription: Subscription) -> None:
        """Write a changed subscription, unless somebody changed it before us."""
        self._store.update(subscription)
        self._rows.forget(_key(subscription))

    def _amend(self, subscription: Subscription) -> Subscription:
        # Only the circuit is new: the rest is as old as it was.
        self._rows.amend(_key(subscription), subscription)
        return subscription


class CachedSubscriptions:
    """A `SubscriptionLister` that remembers lists for `ttl_ms`.

    A change takes up to `ttl_ms` to reach the fan-out. A merchant's first subscription takes effect
    at once: an empty list is read again each time. While the store is unavailable, lists of up to
    `stale_ms` ago are used, so that deliveries continue.
    """

    def __init__(
        self,
        store: SubscriptionLister,
        clock: Clock,
        ttl_ms: int = 5 * SECOND,
        stale_ms: int = 5 * MINUTE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._stale_ms = stale_ms
        self._lists: Remembered[str, Sequence[Subscription]] = Remembered(clock, ttl_ms)
        self._unavailable_until = 0

    def list(self, business_id: str) -> Sequence[Subscription]:
        """Return the store's list, at most `ttl_ms` old, or older while the store is unavailable.

        Raise `UnavailableError` when the store is unavailable and no list is remembered.
        """
        if fresh := self._lists.stale(business_id, self._ttl_ms):
            return fresh
        stale = self._lists.stale(business_id, self._stale_ms)
        if stale is not None and self._clock() < self._unavailable_until:
            return stale  # a failing read takes seconds: not for each event
        try:
            return self._lists.put(business_id, self._store.list(business_id))
        except UnavailableError:
            self._unavailable_until = self._clock() + self._ttl_ms
            if stale is None:
                raise
            return stale


def _key(subscription: Subscription) -> tuple[str, str]:
    return subscription.business_id, subscription.subscription_id
