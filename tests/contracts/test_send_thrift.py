"""What a send costs: the promise of the design, counted at the clients."""

from __future__ import annotations

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import FakeClock, ignore_report
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queues import DeliverySqsQueue, OutboundSqsQueue
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.events import ANY_MERCHANT
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.broadcasts import BroadcastRequest, Broadcasts, expand
from wechat_kf.domain.messages.message import (
    OutboundMessage,
    Outcome,
    Sent,
    Status,
)
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType
from wechat_kf.domain.subscriptions.subscription_memory import CachedSubscriptions

TEXT = {"type": "text", "text": "您好"}
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item")


class YesWeChat:
    """Takes every message."""

    calls = 0

    def send(self, message: OutboundMessage) -> Outcome:
        self.calls += 1
        return Sent()


def writes(client: CountingClient) -> int:
    return sum(client.calls[operation] for operation in WRITES)


class Office:
    """Acceptance and worker on the emulator, with counting clients."""

    def __init__(self, resources: Resources) -> None:
        clock = FakeClock()
        self.dynamodb = CountingClient(resources.dynamodb)
        self.sqs = CountingClient(resources.sqs)
        self.wechat = YesWeChat()
        table = resources.table("MessagesTable")
        self.store = MessagesTable(self.dynamodb, table, 30, clock)
        queue = OutboundSqsQueue(self.sqs, resources.queue("OutboundQueue"))
        self.acceptance = Acceptance(self.store, queue, clock, 15 * MINUTE)
        self.broadcasts = Broadcasts(
            BroadcastsTable(self.dynamodb, table, 30, clock), self.store, clock
        )
        subscriptions = SubscriptionsTable(
            resources.dynamodb, resources.table("SubscriptionsTable")
        )
        self.subscriptions = subscriptions
        events = FanOut(
            CachedSubscriptions(subscriptions, clock),
            DeliverySqsQueue(self.sqs, resources.queue("DeliveriesQueue")),
            clock,
        )
        self.worker = Attempt(
            self.store, self.wechat, events, clock, "wx0123456789abcdef", ignore_report
        )

    def send(self, idempotency_key: str | None = None) -> OutboundMessage:
        draft = OutboundMessage("42", "buyer", TEXT)
        accepted = self.acceptance.accept(draft, idempotency_key)
        self.worker.attempt("42", accepted.message_id)
        return self.acceptance.get("42", accepted.message_id)


def test_a_send_costs_four_writes_one_queue_call_and_one_call(resources: Resources) -> None:
    office = Office(resources)
    assert office.send().status is Status.SENT
    assert writes(office.dynamodb) == 4
    assert office.sqs.calls == {"send_message": 1}
    assert office.wechat.calls == 1


def test_an_outcome_costs_one_queue_call_for_its_subscribers(resources: Resources) -> None:
    office = Office(resources)
    target = Target(TargetType.WEBHOOK, "https://shop.test/hook")
    office.subscriptions.add(Subscription("42", "s1", target))
    office.subscriptions.add(Subscription(ANY_MERCHANT, "s2", target))
    office.send()
    assert office.sqs.calls == {"send_message": 1, "send_message_batch": 1}


def test_a_repeated_request_costs_one_refused_write(resources: Resources) -> None:
    office = Office(resources)
    office.send(idempotency_key="k")
    before = writes(office.dynamodb)
    office.acceptance.accept(OutboundMessage("42", "buyer", TEXT), "k")
    assert writes(office.dynamodb) - before == 1
    assert office.wechat.calls == 1


def test_a_broadcast_costs_one_write_more_than_its_messages(resources: Resources) -> None:
    office = Office(resources)
    openids = tuple(f"buyer{n}" for n in range(10))
    broadcast = office.broadcasts.accept(BroadcastRequest("42", openids, TEXT))
    expand(broadcast, office.acceptance)
    for recipient in office.broadcasts.recipients(broadcast, start=0, limit=10).items:
        office.worker.attempt("42", recipient.message_id)
    assert office.broadcasts.progress(broadcast) == {"sent": 10}
    assert writes(office.dynamodb) == 1 + 4 * 10
    assert office.dynamodb.calls["batch_get_item"] == 2
