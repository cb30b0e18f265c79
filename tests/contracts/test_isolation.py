"""One slow and one dead subscriber cost the others nothing: measured as AWS would run it.

Several workers take batches of a real queue side by side, as Lambda's event source does; each batch
mixes the conversations of a healthy, a slow and a dead subscriber. The emulator's own event source
handles one batch at a time, so there the same is measured in its worst case: tests/e2e.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.fake_backlog import InMemoryBacklog, RecordingDrains
from tests.fakes import InMemorySubscriptions, RecordingAttempts, RecordingEvents
from wechat_kf.adapters.aws import queue_batch
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.courier import Courier
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered, Delivery, DeliveryResult
from wechat_kf.domain.subscriptions.dispatch import Dispatch
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

TIMEOUT_SECONDS = 1.0
"""Stands in for the five seconds a subscriber has."""

INVOCATIONS, WORKERS = 3, 10
CONVERSATIONS, ROUNDS = 3, 8


@dataclass
class Subscribers:
    """`Subscriber`: named after how they behave. Notes when the healthy one got what."""

    arrived: dict[str, float] = field(default_factory=dict)

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        match subscription.subscription_id:
            case "slow":
                time.sleep(TIMEOUT_SECONDS)
                return Deferred("timeout")
            case "dead":
                return Deferred("connection refused")
            case _:
                self.arrived[event.id] = time.monotonic()
                return Delivered()


@dataclass
class Deployment:
    """The deliveries queue, and what AWS runs on it."""

    sqs: Any
    url: str
    subscribers: Subscribers = field(default_factory=Subscribers)
    sent: dict[str, float] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        store = InMemorySubscriptions()
        for name in ("healthy", "slow", "dead"):
            store.add(Subscription("42", name, Target(TargetType.WEBHOOK, f"https://{name}.test")))
        memory = SubscriptionMemory(store, now_ms)
        courier = Courier(
            subscriptions=memory,
            subscribers={TargetType.WEBHOOK: self.subscribers},
            events=RecordingEvents(),
            attempts=RecordingAttempts(),
            clock=now_ms,
            app_id="wx1",
        )
        backlog = InMemoryBacklog(store)
        self.dispatch = Dispatch(memory, courier, backlog, RecordingDrains(), now_ms)

    def say(self, name: str, conversation: int, number: int) -> None:
        event_id = f"{name}-{conversation}-{number}"
        buyer = f"{name}-{conversation}"
        event = Event(event_id, EventType.MESSAGE_RECEIVED, "wx1", "42", buyer, 1_000, {})
        self.sent[event_id] = time.monotonic()
        DeliverySqsQueue(self.sqs, self.url).put([Delivery("42", name, event, now_ms())])

    @contextmanager
    def running(self) -> Iterator[None]:
        with ThreadPoolExecutor(INVOCATIONS) as lambdas:
            for _ in range(INVOCATIONS):
                lambdas.submit(self._poll)
            try:
                yield
            finally:
                self.stopped.set()

    def _poll(self) -> None:
        while not self.stopped.is_set():
            records = self._receive()
            answer = process_batch(
                {"Records": records},
                self._deliver,
                queue=VisibilityQueue(self.sqs, self.url),
                workers=WORKERS,
            )
            left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            done = [one for one in records if one["messageId"] not in left]
            if done:
                entries = [
                    {"Id": one["messageId"], "ReceiptHandle": one["receiptHandle"]} for one in done
                ]
                self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def _deliver(self, record: Record) -> None:
        self.dispatch.dispatch(delivery_from_body(record.body, record.sequence_number))

    def _receive(self) -> list[dict[str, Any]]:
        messages = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=1
        ).get("Messages", [])
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
            }
            for message in messages
        ]

    def latencies(self) -> list[float]:
        """Seconds from the queue to the healthy subscriber."""
        return [at - self.sent[name] for name, at in self.subscribers.arrived.items()]


def measured(deployment: Deployment, *names: str) -> list[float]:
    """The healthy subscriber's latencies while all of `names` have customers."""
    with deployment.running():
        for number in range(ROUNDS):
            for conversation in range(CONVERSATIONS):
                for name in names:
                    deployment.say(name, conversation, number)
            time.sleep(0.1)
        deadline = time.monotonic() + 30
        while len(deployment.subscribers.arrived) < ROUNDS * CONVERSATIONS:
            assert time.monotonic() < deadline, "the healthy subscriber misses something"
            time.sleep(0.02)
    return sorted(deployment.latencies())


@pytest.fixture
def quick_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the proportion of the shortened time-out."""
    monkeypatch.setattr(queue_batch, "GRACE_SECONDS", 0.2)


@pytest.mark.usefixtures("quick_grace")
def test_a_slow_and_a_dead_subscriber_cost_the_healthy_one_nothing(
    resources: Resources, sqs: Any
) -> None:
    alone = measured(Deployment(sqs, resources.queue("DeliveriesQueue")), "healthy")
    beside = measured(
        Deployment(sqs, resources.queue("DeliveriesQueue")), "slow", "dead", "healthy"
    )

    print(f"\nalone {told(alone)}\nbeside a slow and a dead one {told(beside)}")
    assert statistics.median(beside) < statistics.median(alone) + TIMEOUT_SECONDS / 2
    # At worst one grace period, never the slow one's whole time-out.
    assert beside[-1] < alone[-1] + TIMEOUT_SECONDS


def told(latencies: list[float]) -> str:
    return (
        f"median {statistics.median(latencies) * 1000:.0f} ms, most {latencies[-1] * 1000:.0f} ms"
    )
