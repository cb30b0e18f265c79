"""The use case of the drains queue: deliver what waits in the backlog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wechat_kf.app_errors import RetryLater
from wechat_kf.domain.clock import HOUR, MINUTE, SECOND, Clock
from wechat_kf.domain.subscriptions.backlog import BacklogStore, DrainQueue, Parked, Place
from wechat_kf.domain.subscriptions.courier import Courier, PostponedError
from wechat_kf.domain.subscriptions.delivery import Delivered, Delivery, Refused, lane_of
from wechat_kf.domain.subscriptions.dispatch import Fate
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionKey,
    SubscriptionLister,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

CYCLE_MS = 5 * SECOND
"""While there are lanes to drain, they are woken so often."""

LANES_AT_ONCE = 1_000
"""Lanes woken in one cycle: enough for hundreds of events a second, little for the queue."""

LANES_TO_PROBE = 3
LANES_LOOKED_AT = 10_000
LANES_LOOKED_AT_TO_PROBE = 200
"""Lanes looked at in one cycle; each begins somewhere else."""

EXPIRED_AT_ONCE = 200
REVIVED_AT_ONCE = 500

REFUSED_FOR_MS = HOUR
"""An event that the subscriber has refused for so long is dead, and its lane goes on."""


@dataclass(frozen=True, slots=True)
class BacklogTotals:
    """What waits in all backlogs: for active subscriptions, and for paused ones (`held`).

    `oldest_ms` is the age of the oldest event that waits for an active one.
    """

    waiting: int = 0
    oldest_ms: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class BacklogWatch:
    """Wakes all drains, once a minute."""

    subscriptions: SubscriptionLister
    backlog: BacklogStore
    drains: DrainQueue
    clock: Clock

    def wake(self) -> BacklogTotals:
        """Wake every drain, then measure the backlogs. Raises `UnavailableError`."""
        now = self.clock()
        keys = self.backlog.parked_subscriptions()
        for key in keys:
            self.drains.wake(key, str(now // MINUTE))
        owners = {business_id for business_id, _ in keys}
        listed = [found for owner in owners for found in self.subscriptions.list(owner)]
        active = {found.key for found in listed if found.is_active}
        waiting = oldest_ms = held = 0
        for key in keys:
            size = self.backlog.size(key)
            if key not in active:  # somebody decided that it waits: nothing to alarm about
                held += size.waiting
                continue
            waiting += size.waiting
            oldest_ms = max(oldest_ms, now - size.oldest if size.oldest else 0)
        return BacklogTotals(waiting, oldest_ms, held)


@dataclass(frozen=True, slots=True)
class Drain:
    """Empties the backlog of one subscription, lane by lane, side by side. Safe to repeat.

    Lanes are woken by messages, which are handled in as many workers as there are.
    """

    subscriptions: SubscriptionMemory
    courier: Courier
    backlog: BacklogStore
    drains: DrainQueue
    clock: Clock
    report: Callable[[Delivery, Fate], None] = lambda _delivery, _fate: None
    _delivered: set[tuple[str, str]] = field(default_factory=set, init=False)

    def drain(self, key: SubscriptionKey, until: int) -> None:
        """Wake the lanes that can go on; end parking when nothing waits.

        Raises:
            RetryLater: there is more to do before `until`, when another drain begins.
            UnavailableError: our own table or queue failed.
        """
        subscription = self.subscriptions.get(*key)
        if subscription is None:
            self.backlog.drop(key)
            return
        more = self._bury_expired(key)
        if not subscription.parking_since:
            return
        more = self.backlog.revive(key, self.clock(), REVIVED_AT_ONCE) or more
        if subscription.is_active:
            self._wake(subscription, until)
        if more:
            self._go_on(SECOND, until)

    def _wake(self, subscription: Subscription, until: int) -> None:
        key, now = subscription.key, self.clock()
        circuit = subscription.circuit
        heads = self._list_heads(
            key, LANES_LOOKED_AT if circuit.closed else LANES_LOOKED_AT_TO_PROBE
        )
        if not heads:
            if subscription.slow_until <= now:
                self.backlog.close(key)
            return
        due = {
            head.lane: max(head.due_at(circuit), now + circuit.wait_ms(head.event_id, now))
            for head in heads
        }
        ready = [head for head in heads if due[head.lane] <= now]
        if not circuit.closed:  # rather one that has not failed yet
            ready = sorted(ready, key=lambda head: head.tried_at)[:LANES_TO_PROBE]
        if ready:
            lanes = [head.lane for head in ready[:LANES_AT_ONCE]]
            self.drains.wake_lanes(key, lanes, str(now))
        self._go_on(max(min(due.values()) - now, CYCLE_MS), until)

    def _list_heads(self, key: SubscriptionKey, most: int) -> Sequence[Place]:
        """Look at lanes from somewhere on and round: with very many, each has its turn."""
        start = lane_of(key[1], str(self.clock()))
        found = {head.lane: head for head in self._list_from(key, start, most)}
        for head in self._list_from(key, "", most - len(found)):
            found.setdefault(head.lane, head)
        return list(found.values())

    def _list_from(self, key: SubscriptionKey, after: str, most: int) -> Sequence[Place]:
        found: list[Place] = []
        position: str | None = after
        while position is not None and len(found) < most:
            heads, position = self.backlog.heads(key, position, most - len(found))
            found += heads
        return found

    def _go_on(self, wait_ms: int, until: int) -> None:
        if self.clock() + wait_ms < until:
            raise RetryLater(max(wait_ms, SECOND))

    def _bury_expired(self, key: SubscriptionKey) -> bool:
        """Bury what has waited too long; True when there may be more."""
        expired = self.backlog.expired(key, self.clock(), EXPIRED_AT_ONCE)
        for parked in expired:
            self._bury(parked, "expired")
        return len(expired) == EXPIRED_AT_ONCE

    def drain_lane(
        self, key: SubscriptionKey, lane: str, has_time: Callable[[], bool] = lambda: True
    ) -> None:
        """Deliver the events of a lane until it is empty or one of them must wait.

        Raises:
            RetryLater: there was no time for more.
            UnavailableError: our own table or queue failed.
        """
        while True:
            subscription = self.subscriptions.get(*key)
            head = self.backlog.head(key, lane)
            if head is None or subscription is None or not subscription.is_active:
                return
            if not has_time():
                raise RetryLater(0)
            if not self._deliver(subscription, head):
                return

    def _deliver(self, subscription: Subscription, head: Parked) -> bool:
        """Deliver the head of a lane or bury it; False when it must wait."""
        now = self.clock()
        if (head.delivery.lane, head.delivery.position) in self._delivered:
            self._remove(head)
            return True
        if head.expires_at <= now:
            self._bury(head, "expired")
            return True
        if head.place.due_at(subscription.circuit) > now:
            return False
        return self._attempt(subscription, head)

    def _attempt(self, subscription: Subscription, head: Parked) -> bool:
        try:
            attempt = self.courier.attempt(subscription, head.delivery)
        except PostponedError:
            return False
        if isinstance(attempt.result, Delivered):
            self._delivered.add((head.delivery.lane, head.delivery.position))
            self._remove(head)
            return True
        tried = head.note_attempt(self.clock(), refused=isinstance(attempt.result, Refused))
        if tried.refused_since and tried.tried_at - tried.refused_since >= REFUSED_FOR_MS:
            self._bury(tried, attempt.result.reason)
            return True
        self.backlog.note(tried)
        return False

    def _remove(self, head: Parked) -> None:
        """Take out what was delivered; a table that fails now causes no second delivery here."""
        self.backlog.remove(head, self.clock())
        self._delivered.discard((head.delivery.lane, head.delivery.position))
        self.report(head.delivery, Fate.DELIVERED)

    def _bury(self, parked: Parked, reason: str) -> None:
        self.backlog.bury(parked, reason, self.clock())
        self.report(parked.delivery, Fate.DEAD)
