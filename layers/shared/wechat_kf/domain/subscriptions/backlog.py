"""Where deliveries wait for long: outside the queue, in order per lane.

A FIFO queue looks for work among its first 120 000 messages only, so a subscription that is paused
or broken must not keep its events there (docs/decisions/0004-waiting.md). A subscription is

    direct    while nothing is parked. Workers may remember it for some seconds.
    opening   once `parking_since` is set. Nothing is parked yet: some workers still remember it.
    parking   `GRACE_MS` later. Every worker reads the subscription and the lane before it delivers.
              What may not be delivered now, and what has an older event of its lane in the backlog,
              is parked. A drain delivers parked events, the oldest of each lane first.
    direct    again by one transaction that demands an empty backlog.

A parked event leaves the backlog when it was delivered or is dead, and not before: so nothing is
lost by a crash, and nothing overtakes it, since whatever follows in its lane finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS, Delivery, backoff_ms
from wechat_kf.domain.subscriptions.subscription import Subscription, SubscriptionKey

GRACE_MS = 10 * SECOND
"""Longer than any worker remembers a subscription, with room for clocks that differ."""

PATIENCE_MS = MINUTE
"""How long an event may wait in the queue."""

DONE_KEPT_MS = HOUR
"""How long a delivered event of the backlog is remembered. Its message may still be in the queue,
if the worker that parked it died before deleting it; the message comes back within minutes."""

DEAD_KEPT_MS = 14 * DAY
"""How long dead events can be recovered."""


@dataclass(frozen=True, slots=True)
class Place:
    """The head of a lane, without its event."""

    lane: str
    event_id: str
    tried_since: int = 0
    tried_at: int = 0

    def due_at(self, circuit: Circuit) -> int:
        """Return when to try it again; at once after the circuit has recovered."""
        if self.tried_at <= circuit.recovered_at:
            return 0
        return self.tried_at + backoff_ms(
            self.tried_at - max(self.tried_since, circuit.recovered_at)
        )


@dataclass(frozen=True, slots=True)
class Parked:
    """A delivery in the backlog. Instants are epoch milliseconds, 0 for never.

    `tried_since` and `tried_at` are its first and its latest failed attempt; `refused_since` is
    when the subscriber began to refuse this event.
    """

    delivery: Delivery
    expires_at: int
    tried_since: int = 0
    tried_at: int = 0
    refused_since: int = 0

    @classmethod
    def of(cls, delivery: Delivery, *, tried_at: int = 0, refused: bool = False) -> Parked:
        """Park a delivery that came from the queue; it was first tried when it was queued."""
        since = delivery.queued_at if tried_at else 0
        expires_at = delivery.queued_at + RETENTION_MS
        return cls(delivery, expires_at, since, tried_at, since if refused else 0)

    @property
    def place(self) -> Place:
        return Place(self.delivery.lane, self.delivery.event.id, self.tried_since, self.tried_at)

    def note_attempt(self, now: int, *, refused: bool) -> Parked:
        """Return it after one more failed attempt."""
        return replace(
            self,
            tried_since=self.tried_since or now,
            tried_at=now,
            refused_since=(self.refused_since or now) if refused else 0,
        )

    def revive(self, now: int) -> Parked:
        """Return a dead one as it waits again."""
        return Parked(self.delivery, now + RETENTION_MS)


@dataclass(frozen=True, slots=True)
class BacklogSize:
    """`oldest` is when the oldest waiting one was queued; `dead` is exact up to some 1 000."""

    waiting: int = 0
    oldest: int = 0
    dead: int = 0


class BacklogStore(Protocol):
    """The backlogs of all subscriptions. Every method raises `UnavailableError` when it fails.

    Reads are consistent unless it says otherwise.
    """

    def open(self, key: SubscriptionKey, now: int) -> None:
        """Begin to park: set the subscription's `parking_since`, unless it is set."""

    def close(self, key: SubscriptionKey) -> bool:
        """End parking, in one step; False while anything waits, or a recovery is asked for."""

    def park(self, parked: Parked, since: int) -> bool:
        """Add one; its own repeat is fine. False unless parking is on since `since`."""

    def holds(self, key: SubscriptionKey, lane: str) -> bool:
        """Return whether anything of this lane waits."""

    def head(self, key: SubscriptionKey, lane: str) -> Parked | None:
        """Return the oldest waiting one of a lane."""

    def note(self, parked: Parked) -> None:
        """Write its attempts, if it still waits."""

    def remove(self, parked: Parked, now: int) -> None:
        """Take out one that was delivered, and remember it; its own repeat is fine."""

    def is_done(self, delivery: Delivery) -> bool:
        """Return whether it was parked and delivered within the last hour."""

    def bury(self, parked: Parked, reason: str, now: int) -> None:
        """Declare one dead, in one step; its own repeat is fine."""

    def heads(
        self, key: SubscriptionKey, after: str, limit: int
    ) -> tuple[Sequence[Place], str | None]:
        """List the heads of the lanes behind the lane `after`, and the lane it got to.

        None: there are no more.
        """

    def expired(self, key: SubscriptionKey, now: int, limit: int) -> Sequence[Parked]:
        """List those that have waited too long (an eventual read)."""

    def ask_recovery(self, key: SubscriptionKey, since: int) -> None:
        """Remember to revive the dead ones queued at `since` or later."""

    def revive(self, key: SubscriptionKey, now: int, limit: int) -> bool:
        """Revive up to `limit` of them; False when there are none (left) to revive."""

    def drop(self, key: SubscriptionKey) -> None:
        """Delete everything of a subscription that was removed."""

    def parked_subscriptions(self) -> Sequence[SubscriptionKey]:
        """List the subscriptions whose backlog is open."""

    def size(self, key: SubscriptionKey) -> BacklogSize:
        """Count what waits and what is dead (partly an eventual read)."""


class DrainQueue(Protocol):
    """Wakes drains. Its messages carry nothing: one that is lost is replaced within a minute."""

    def wake(self, key: SubscriptionKey, token: str) -> None:
        """Drain a subscription. Raises `UnavailableError`."""

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        """Drain lanes; the same token within five minutes is one wake. Raises as `wake`."""


def is_parking(subscription: Subscription, now: int) -> bool:
    """Return whether events may be parked: no worker remembers the subscription as direct."""
    since = subscription.parking_since
    return bool(since) and now - since >= GRACE_MS
