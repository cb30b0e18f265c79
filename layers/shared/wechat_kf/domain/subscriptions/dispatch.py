"""The use case of the deliveries queue: deliver one event, or let it wait, or park it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.subscriptions.backlog import (
    GRACE_MS,
    PATIENCE_MS,
    BacklogStore,
    DrainQueue,
    Parked,
    is_parking,
)
from wechat_kf.domain.subscriptions.courier import Courier, PostponedError
from wechat_kf.domain.subscriptions.delivery import Delivered, Delivery, Refused, backoff_ms
from wechat_kf.domain.subscriptions.subscription import Subscription
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory


class Fate(StrEnum):
    """What a delivery came to."""

    DELIVERED = "delivered"
    DROPPED = "dropped"  # its subscription was removed by a caller
    PARKED = "parked"  # it waits in the backlog, since its subscriber fails or is slow
    HELD = "held"  # it waits there, since its subscription is paused
    DEAD = "dead"  # it waited too long there


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Delivers what comes from the queue, in the order of each lane. Safe to repeat.

    An event waits in the queue for `PATIENCE_MS` at most; then it is parked. The events of a slow
    subscriber are parked at once, so that their drain, which has workers of its own, delivers them:
    otherwise they would hold the workers that all subscribers share.
    """

    subscriptions: SubscriptionMemory
    courier: Courier
    backlog: BacklogStore
    drains: DrainQueue
    clock: Clock

    def dispatch(self, delivery: Delivery, *, repeated: bool = False) -> Fate:
        """Deliver one event now, or park it.

        `repeated`: the queue has handed it out before, so it may have been parked already.

        Raises:
            PostponedError: it must wait, and with it what stands behind it in its lane.
            UnavailableError: our own table or queue failed.
        """
        subscription = self.subscriptions.get(*delivery.key)
        if subscription is None:
            return Fate.DROPPED
        if repeated and self.backlog.is_done(delivery):
            return Fate.DELIVERED
        if is_parking(subscription, self.clock()) and self._must_park(subscription, delivery):
            return self._park(subscription, Parked.of(delivery))
        return self._deliver(subscription, delivery)

    def _must_park(self, subscription: Subscription, delivery: Delivery) -> bool:
        return (
            not subscription.is_active
            or subscription.slow_until > self.clock()
            or self.backlog.holds(delivery.key, delivery.lane)
        )

    def _deliver(self, subscription: Subscription, delivery: Delivery) -> Fate:
        if not subscription.is_active:
            return self._wait(subscription, Parked.of(delivery), GRACE_MS, str(subscription.status))
        if subscription.slow_until > self.clock():
            self._begin_parking(subscription)
        try:
            attempt = self.courier.attempt(subscription, delivery)
        except PostponedError as postponed:
            parked = Parked.of(delivery)
            return self._wait(subscription, parked, postponed.delay_ms, postponed.reason)
        if isinstance(attempt.result, Delivered):
            return Fate.DELIVERED
        now, circuit = self.clock(), attempt.circuit
        # Failures before the circuit last closed must not slow it down now.
        pause_ms = backoff_ms(now - max(delivery.queued_at, circuit.recovered_at))
        pause_ms = max(pause_ms, circuit.wait_ms(delivery.event.id, now))
        refused = isinstance(attempt.result, Refused)
        parked = Parked.of(delivery, tried_at=now, refused=refused)
        return self._wait(subscription, parked, pause_ms, attempt.result.reason)

    def _wait(self, subscription: Subscription, parked: Parked, wait_ms: int, reason: str) -> Fate:
        """Wait in the queue while that is short, and then in the backlog."""
        now, queued_at = self.clock(), parked.delivery.queued_at
        if subscription.is_active and now + wait_ms <= queued_at + PATIENCE_MS:
            raise PostponedError(wait_ms, reason)
        if is_parking(subscription, now):
            return self._park(subscription, parked)
        self._begin_parking(subscription)
        raise PostponedError(min(wait_ms, GRACE_MS), reason)

    def _begin_parking(self, subscription: Subscription) -> None:
        if not subscription.parking_since:
            self.backlog.open(subscription.key, self.clock())
            self.subscriptions.forget(subscription)

    def _park(self, subscription: Subscription, parked: Parked) -> Fate:
        if not self.backlog.park(parked, subscription.parking_since):
            raise PostponedError(SECOND, "backlog closed")  # read the subscription again
        if subscription.is_active and subscription.slow_until > self.clock():
            lane, position = parked.delivery.lane, parked.delivery.position
            self.drains.wake_lanes(subscription.key, [lane], position)
        return Fate.PARKED if subscription.is_active else Fate.HELD
