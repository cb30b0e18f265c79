"""A subscription and one worker of each queue, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.fake_backlog import InMemoryBacklog
from tests.fakes import FakeClock, InMemorySubscriptions, RecordingAttempts, RecordingEvents
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import GRACE_MS, Parked
from wechat_kf.domain.subscriptions.courier import Courier
from wechat_kf.domain.subscriptions.delivery import Delivered, Delivery, DeliveryResult
from wechat_kf.domain.subscriptions.dispatch import Dispatch, Fate
from wechat_kf.domain.subscriptions.drain import BacklogWatch, Drain
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionKey,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

KEY = ("42", "s1")
HOOK = Subscription(*KEY, Target(TargetType.WEBHOOK, "https://shop.test/hook"))


@dataclass
class Workplace:
    """`DrainQueue` and `Subscriber`, and a worker of the deliveries queue between them."""

    clock: FakeClock = field(default_factory=FakeClock)
    result: DeliveryResult = field(default_factory=Delivered)
    takes_ms: int = 50
    calls: list[str] = field(default_factory=list)
    woken: list[tuple[list[str], str]] = field(default_factory=list)
    drains_woken: list[tuple[SubscriptionKey, str]] = field(default_factory=list)
    stops: list[Subscription] = field(default_factory=list)
    fates: list[tuple[str, Fate]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = InMemorySubscriptions()
        self.store.add(HOOK)
        self.backlog = InMemoryBacklog(self.store)
        self.attempts, self.events = RecordingAttempts(), RecordingEvents()
        self.restart()

    def restart(self) -> None:
        """Another worker, who remembers nothing."""
        memory = SubscriptionMemory(self.store, self.clock)
        self.courier = Courier(
            memory,
            {TargetType.WEBHOOK: self},
            self.events,
            self.attempts,
            self.clock,
            "wx1",
            self.stops.append,
        )
        self.dispatch = Dispatch(memory, self.courier, self.backlog, self, self.clock)
        self.drain = Drain(memory, self.courier, self.backlog, self, self.clock, self._report)
        self.watch = BacklogWatch(self.store, self.backlog, self, self.clock)

    def _report(self, delivery: Delivery, fate: Fate) -> None:
        self.fates.append((delivery.event.id, fate))

    def deliver(self, _subscription: Subscription, event: Event) -> DeliveryResult:
        self.calls.append(event.id)
        self.clock.advance(self.takes_ms)
        return self.result

    def wake(self, key: SubscriptionKey, token: str) -> None:
        self.drains_woken.append((key, token))

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        assert key == KEY
        self.woken.append((list(lanes), token))

    @property
    def row(self) -> Subscription:
        found = self.store.get(*KEY)
        assert found
        return found

    def change(self, **members: object) -> None:
        self.store.change(KEY, **members)
        self.restart()

    def park_for_long(self) -> None:
        """Let the backlog be open for so long that events may be parked."""
        self.backlog.open(KEY, self.clock())
        self.clock.advance(GRACE_MS)
        self.restart()

    def park(self, number: int = 1, openid: str = "o1") -> Delivery:
        """Park a new event; the backlog must be open."""
        delivery = self.new(number, openid)
        assert self.backlog.park(Parked.of(delivery), self.row.parking_since)
        return delivery

    def new(self, number: int = 1, openid: str = "o1") -> Delivery:
        event = Event(
            f"e{number}", EventType.MESSAGE_RECEIVED, "wx1", "42", openid, self.clock(), {}
        )
        return Delivery(*KEY, event, self.clock(), str(number))
