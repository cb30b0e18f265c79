"""What one worker remembers of subscriptions, so that busy ones are not read for each event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import MINUTE, SECOND, Clock
from wechat_kf.domain.remembered import Remembered
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionKey,
    SubscriptionLister,
    SubscriptionStore,
)


class SubscriptionMemory:
    """The store's rows, at most `ttl_ms` old; this worker's own changes show at once.

    Only active ones without a backlog are remembered: no event waits because of an old status, and
    none overtakes one in the backlog. `ttl_ms` must be well below `backlog.GRACE_MS`.
    """

    def __init__(self, store: SubscriptionStore, clock: Clock, ttl_ms: int = 3 * SECOND) -> None:
        self._store = store
        self._rows: Remembered[SubscriptionKey, Subscription | None] = Remembered(clock, ttl_ms)

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        """Return the subscription with its secrets, or None when there is none."""
        return self._rows.get(
            (business_id, subscription_id),
            lambda: self._store.get(business_id, subscription_id),
            keep=lambda found: bool(found and found.is_active and not found.parking_since),
        )

    def note_failure(self, subscription: Subscription, error: LastError) -> None:
        """Write the last error."""
        self._store.note_failure(subscription.key, error)

    def count_failure(
        self, subscription: Subscription, event_id: str, error: LastError
    ) -> Subscription:
        """Count a failed event in the circuit and return the subscription."""
        circuit = self._store.count_failure(subscription.key, event_id, error)
        if circuit is None:
            self._rows.forget(subscription.key)
            return subscription
        return self._amend(replace(subscription, circuit=circuit))

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> Subscription | None:
        """Write `circuit`; None when another worker moved it before us."""
        if self._store.move_circuit(subscription, circuit):
            return self._amend(replace(subscription, circuit=circuit))
        self._rows.forget(subscription.key)
        return None

    def mark_slow(self, subscription: Subscription, until: int) -> None:
        """Write `slow_until`."""
        self._store.mark_slow(subscription.key, until)
        self._rows.forget(subscription.key)

    def update(self, subscription: Subscription) -> None:
        """Write a changed subscription, unless somebody changed it before us."""
        self._store.update(subscription)
        self._rows.forget(subscription.key)

    def forget(self, subscription: Subscription) -> None:
        """Read it again next time."""
        self._rows.forget(subscription.key)

    def _amend(self, subscription: Subscription) -> Subscription:
        # Only the circuit is new: the rest is as old as it was.
        self._rows.amend(subscription.key, subscription)
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
