"""The delivery of events in process: the layer's own code on queues with AWS's limits.

Everything that takes time is a subscriber's answer; all the rest is instantaneous.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from tests.chaos.lambdas import EventSource, Handle, Limit, Model
from tests.chaos.sqs import AWS_LIMITS, FifoQueue, Limits, SqsClient
from tests.chaos.weather import Weather
from tests.fake_backlog import InMemoryBacklog
from tests.fakes import InMemorySubscriptions, RecordingAttempts, RecordingEvents
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue, DrainSqsQueue, drain_from_body
from wechat_kf.adapters.aws.queue_batch import Record
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.courier import Courier
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered, Delivery, DeliveryResult
from wechat_kf.domain.subscriptions.dispatch import Dispatch
from wechat_kf.domain.subscriptions.drain import BacklogWatch, Drain
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionKey,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

Answer = Callable[[Event], tuple[DeliveryResult, int]]
"""What a subscriber says to an event, and how many milliseconds it takes."""


def takes(milliseconds: int) -> Answer:
    """Accept everything after so long."""
    return lambda _event: (Delivered(), milliseconds)


def is_down(_event: Event) -> tuple[DeliveryResult, int]:
    """Refuse connections."""
    return Deferred("connection failed"), 20


@dataclass(frozen=True, slots=True)
class Receipt:
    """An event that a subscriber has accepted."""

    event: Event
    at: int

    @property
    def waited_ms(self) -> int:
        return self.at - self.event.at_ms


@dataclass
class Deliveries:
    """Both queues, their functions, all subscribers, and the sweeper's clock."""

    limits: Limits = AWS_LIMITS
    concurrency: int = 20
    drain_concurrency: int = 10
    account_concurrency: int = 1_000
    weather: Weather = field(default_factory=lambda: Weather(Random(1)))

    def __post_init__(self) -> None:
        self.model = Model(self.account_concurrency)
        self.clock = self.model.clock
        self.start = self.clock()
        self.queue = FifoQueue("deliveries", self.clock, visibility_seconds=180, limits=self.limits)
        self.drain_queue = FifoQueue(
            "drains", self.clock, visibility_seconds=180, limits=self.limits
        )
        client = SqsClient((self.queue, self.drain_queue), self.weather)
        self.store = InMemorySubscriptions()
        self.backlog = InMemoryBacklog(self.store)
        self.attempts = RecordingAttempts()
        self.stops = RecordingEvents()
        self.deliveries = DeliverySqsQueue(client, self.queue.url)
        self.drains = DrainSqsQueue(client, self.drain_queue.url)
        self.answers: dict[str, Answer] = {}
        self.receipts: dict[str, list[Receipt]] = defaultdict(list)
        self.calls: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.most_waiting = 0
        self._number = 0
        EventSource(self.model, self.queue, client, self._start_dispatch, Limit(self.concurrency))
        EventSource(
            self.model, self.drain_queue, client, self._start_drain, Limit(self.drain_concurrency)
        )
        self.model.timeline.at(self.start, self._sweep)

    # -- what a test does

    def subscribe(self, name: str, answer: Answer, business_id: str = "42") -> SubscriptionKey:
        target = Target(TargetType.WEBHOOK, f"https://{name}.example/")
        self.store.add(Subscription(business_id, name, target))
        self.answers[name] = answer
        return business_id, name

    def put(
        self,
        keys: Iterable[SubscriptionKey],
        openid: str,
        *,
        kind: str = EventType.MESSAGE_RECEIVED,
    ) -> Event:
        """An event happens now, and is fanned out to these subscriptions."""
        self._number += 1
        event = Event(
            f"{self._number:064x}", kind, "wx1", "42", openid, self.clock(), {"n": self._number}
        )
        now = self.clock()
        self.deliveries.put([Delivery(*key, event, now) for key in keys])
        self.most_waiting = max(self.most_waiting, len(self.queue))
        return event

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        def act() -> None:
            action()

        self.model.timeline.at(self.start + round(seconds * SECOND), act)

    def run(self, seconds: float) -> None:
        """Until so long after the start."""
        self.model.run(self.start + round(seconds * SECOND))

    def manager(self) -> SubscriptionManager:
        return SubscriptionManager(
            self.store,
            self.deliveries,
            self.backlog,
            self.drains,
            self.attempts,
            self.clock,
            "wx1",
        )

    def pause(self, key: SubscriptionKey) -> None:
        self.manager().change(*key, status=SubscriptionStatus.PAUSED)

    def resume(self, key: SubscriptionKey) -> None:
        self.manager().change(*key, status=SubscriptionStatus.ACTIVE)

    def get(self, key: SubscriptionKey) -> Subscription:
        found = self.store.get(*key)
        assert found
        return found

    # -- what it sees

    def order(self, name: str) -> dict[str, list[int]]:
        """The numbers of the events that a subscriber accepted first, in order, by buyer."""
        found: dict[str, list[int]] = defaultdict(list)
        for receipt in self.receipts[name]:
            number = receipt.event.data["n"]
            if number not in found[receipt.event.openid]:
                found[receipt.event.openid].append(number)
        return found

    def in_order(self, name: str) -> bool:
        return all(numbers == sorted(numbers) for numbers in self.order(name).values())

    def ids(self, name: str) -> set[str]:
        return {receipt.event.id for receipt in self.receipts[name]}

    def waits_ms(self, name: str) -> list[int]:
        return sorted(receipt.waited_ms for receipt in self.receipts[name])

    # -- the functions

    def _start_courier(self) -> tuple[SubscriptionMemory, Courier]:
        memory = SubscriptionMemory(self.store, self.clock)
        courier = Courier(
            subscriptions=memory,
            subscribers={TargetType.WEBHOOK: self},
            events=self.stops,
            attempts=self.attempts,
            clock=self.clock,
            app_id="wx1",
        )
        return memory, courier

    def _start_dispatch(self) -> Handle:
        memory, courier = self._start_courier()
        dispatch = Dispatch(memory, courier, self.backlog, self.drains, self.clock)

        def handle(record: Record, _has_time: Callable[[], bool]) -> None:
            delivery = delivery_from_body(record.body, record.sequence_number)
            dispatch.dispatch(delivery, repeated=record.receive_count > 1)

        return handle

    def _start_drain(self) -> Handle:
        memory, courier = self._start_courier()
        drain = Drain(memory, courier, self.backlog, self.drains, self.clock)

        def handle(record: Record, has_time: Callable[[], bool]) -> None:
            key, lane = drain_from_body(record.body)
            if lane:
                drain.drain_lane(key, lane, has_time)
            else:
                drain.drain(key, record.sent_at_ms + MINUTE)

        return handle

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """All subscribers: answer after a while, and note what was accepted."""
        name = subscription.subscription_id
        self.calls[name].append((self.clock(), event.id))
        result, milliseconds = self.answers[name](event)
        self.model.sleep(milliseconds)
        if isinstance(result, Delivered):
            self.receipts[name].append(Receipt(event, self.clock()))
        return result

    def _sweep(self) -> None:
        BacklogWatch(self.store, self.backlog, self.drains, self.clock).wake()
        self.model.timeline.after(MINUTE, self._sweep)
