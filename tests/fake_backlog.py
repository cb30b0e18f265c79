"""The backlog in memory, and its wake-ups."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from tests.fakes import InMemorySubscriptions
from wechat_kf.domain.subscriptions.backlog import DEAD_KEPT_MS, BacklogSize, Parked, Place
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS, Delivery
from wechat_kf.domain.subscriptions.subscription import SubscriptionKey

Spot = tuple[str, str]
"""(lane, position)"""


@dataclass
class Dead:
    parked: Parked
    reason: str
    until: int


@dataclass
class Shelf:
    """The backlog of one subscription."""

    since: int
    waiting: dict[Spot, Parked] = field(default_factory=dict)
    recover_since: int | None = None


class InMemoryBacklog:
    """`BacklogStore`."""

    def __init__(self, subscriptions: InMemorySubscriptions) -> None:
        self._subscriptions = subscriptions
        self._shelves: dict[SubscriptionKey, Shelf] = {}
        self._dead: dict[SubscriptionKey, dict[Spot, Dead]] = {}
        self._done: set[tuple[SubscriptionKey, Spot]] = set()
        self._lock = threading.RLock()

    def open(self, key: SubscriptionKey, now: int) -> None:
        with self._lock:
            known = self._subscriptions.get(*key)
            if known and not known.parking_since:
                self._subscriptions.change(key, parking_since=now)
                self._shelves[key] = Shelf(now)

    def close(self, key: SubscriptionKey) -> bool:
        with self._lock:
            shelf = self._shelves.get(key)
            if shelf and (shelf.waiting or shelf.recover_since is not None):
                return False
            if self._subscriptions.get(*key) is None:
                return False
            self._shelves.pop(key, None)
            self._subscriptions.change(key, parking_since=0)
            return True

    def park(self, parked: Parked, since: int) -> bool:
        with self._lock:
            shelf = self._shelves.get(parked.delivery.key)
            if shelf is None or shelf.since != since:
                return False
            shelf.waiting.setdefault(_spot(parked), parked)
            return True

    def holds(self, key: SubscriptionKey, lane: str) -> bool:
        return self.head(key, lane) is not None

    def head(self, key: SubscriptionKey, lane: str) -> Parked | None:
        places = sorted(place for place in self._waiting(key) if place[0] == lane)
        return self._waiting(key)[places[0]] if places else None

    def note(self, parked: Parked) -> None:
        waiting = self._waiting(parked.delivery.key)
        if _spot(parked) in waiting:
            waiting[_spot(parked)] = parked

    def remove(self, parked: Parked, now: int) -> None:
        if self._waiting(parked.delivery.key).pop(_spot(parked), None):
            self._done.add((parked.delivery.key, _spot(parked)))

    def is_done(self, delivery: Delivery) -> bool:
        return (delivery.key, (delivery.lane, delivery.position.zfill(40))) in self._done

    def bury(self, parked: Parked, reason: str, now: int) -> None:
        with self._lock:
            key = parked.delivery.key
            if self._waiting(key).pop(_spot(parked), None):
                dead = Dead(parked, reason, now + DEAD_KEPT_MS)
                self._dead.setdefault(key, {})[_spot(parked)] = dead

    def heads(
        self, key: SubscriptionKey, after: str, limit: int
    ) -> tuple[Sequence[Place], str | None]:
        waiting = self._waiting(key)
        places = sorted(place for place in waiting if place[0] > after)
        first = [next(group) for _, group in groupby(places, key=lambda place: place[0])]
        following = first[limit - 1][0] if len(first) > limit else None
        return [waiting[place].place for place in first[:limit]], following

    def expired(self, key: SubscriptionKey, now: int, limit: int) -> Sequence[Parked]:
        found = [one for one in self._waiting(key).values() if one.expires_at <= now]
        return sorted(found, key=lambda one: one.expires_at)[:limit]

    def ask_recovery(self, key: SubscriptionKey, since: int) -> None:
        if shelf := self._shelves.get(key):
            shelf.recover_since = since

    def revive(self, key: SubscriptionKey, now: int, limit: int) -> bool:
        with self._lock:
            shelf = self._shelves.get(key)
            if shelf is None or shelf.recover_since is None:
                return False
            graves = self._dead.get(key, {})
            due = [
                (dead.parked.delivery.queued_at, place)
                for place, dead in graves.items()
                if dead.parked.delivery.queued_at >= shelf.recover_since
            ]
            for _, place in sorted(due)[:limit]:
                shelf.waiting[place] = graves.pop(place).parked.revive(now)
            if len(due) <= limit:
                shelf.recover_since = None
            return bool(due)

    def drop(self, key: SubscriptionKey) -> None:
        with self._lock:
            self._shelves.pop(key, None)
            self._dead.pop(key, None)

    def parked_subscriptions(self) -> Sequence[SubscriptionKey]:
        return sorted(self._shelves)

    def size(self, key: SubscriptionKey) -> BacklogSize:
        waiting = self._waiting(key).values()
        oldest = min((one.expires_at - RETENTION_MS for one in waiting), default=0)
        return BacklogSize(len(waiting), oldest, len(self._dead.get(key, {})))

    def dead(self, key: SubscriptionKey) -> list[tuple[str, str]]:
        """(event id, reason) of all dead ones, in the order of their lanes."""
        graves = sorted(self._dead.get(key, {}).items())
        return [(dead.parked.delivery.event.id, dead.reason) for _, dead in graves]

    def recovery_of(self, key: SubscriptionKey) -> int | None:
        """From when on a recovery was asked for."""
        return self._shelves[key].recover_since

    def waiting_ids(self, key: SubscriptionKey) -> list[str]:
        """The events that wait, lane by lane in order."""
        return [one.delivery.event.id for _, one in sorted(self._waiting(key).items())]

    def _waiting(self, key: SubscriptionKey) -> dict[Spot, Parked]:
        shelf = self._shelves.get(key)
        return shelf.waiting if shelf else {}


@dataclass
class RecordingDrains:
    """`DrainQueue`: what was woken, in order; None for a whole subscription."""

    woken: list[tuple[SubscriptionKey, str | None]] = field(default_factory=list)

    def wake(self, key: SubscriptionKey, token: str) -> None:
        self.woken.append((key, None))

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        self.woken += [(key, lane) for lane in lanes]


def _spot(parked: Parked) -> Spot:
    return parked.delivery.lane, parked.delivery.position.zfill(40)
