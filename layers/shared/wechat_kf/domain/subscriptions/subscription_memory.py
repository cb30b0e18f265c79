"""What one worker knows of subscriptions."""

from __future__ import annotations

from dataclasses import replace

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    SubscriptionStore,
)

_MOST = 1_000


class SubscriptionMemory:
    """The store's rows, at most `ttl_ms` old; this worker's own changes show at once.

    Deliveries of a busy subscriber therefore do not read its row each time. Only active ones are
    remembered: no event waits or is given up because of what was true a moment ago. Threads may
    share it: every step on the shared state is one operation on a dict.
    """

    def __init__(self, store: SubscriptionStore, clock: Clock, ttl_ms: int = 3 * SECOND) -> None:
        self._store = store
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._held: dict[tuple[str, str], tuple[int, Subscription]] = {}

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        """The subscription with its secrets, or None when there is none (any more)."""
        key, now = (business_id, subscription_id), self._clock()
        held = self._held.get(key)
        if held and now - held[0] < self._ttl_ms:
            return held[1]
        found = self._store.get(business_id, subscription_id)
        if len(self._held) >= _MOST:
            self._held.clear()
        if found and found.status is SubscriptionStatus.ACTIVE:
            self._held[key] = (now, found)
        else:
            self._held.pop(key, None)
        return found

    def count_failure(self, subscription: Subscription, now: int) -> Subscription:
        """The subscription with one more failure in its circuit."""
        key = (subscription.business_id, subscription.subscription_id)
        circuit = self._store.count_failure(*key, now)
        if circuit is None:
            self._forget(subscription)
            return subscription
        return self._remember(replace(subscription, circuit=circuit))

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> Subscription | None:
        """The subscription with `circuit`, or None when another worker moved it before us."""
        if self._store.move_circuit(subscription, circuit):
            return self._remember(replace(subscription, circuit=circuit))
        self._forget(subscription)
        return None

    def update(self, subscription: Subscription) -> None:
        """Write a changed subscription, unless somebody changed it before us."""
        self._store.update(subscription)
        self._forget(subscription)

    def _remember(self, subscription: Subscription) -> Subscription:
        key = (subscription.business_id, subscription.subscription_id)
        # Only the circuit is news: the rest is as old as it was.
        read_at, _ = self._held.get(key, (self._clock(), subscription))
        self._held[key] = (read_at, subscription)
        return subscription

    def _forget(self, subscription: Subscription) -> None:
        self._held.pop((subscription.business_id, subscription.subscription_id), None)
