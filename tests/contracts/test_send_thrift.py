"""What a message costs: the promises of docs/cost.md, counted at the clients."""

from __future__ import annotations

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.contracts.units import MeteredClient
from tests.fakes import FakeClock, ignore_report
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.outbound_queue import OutboundSqsQueue
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.app_errors import RetryLater
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.broadcasts import BroadcastRequest, Broadcasts
from wechat_kf.domain.messages.expansion import Expander
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Wait,
)
from wechat_kf.domain.messages.ports import KnownBuyers
from wechat_kf.domain.messages.windows import SendWindows
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType
from wechat_kf.domain.subscriptions.subscription_memory import CachedSubscriptions

OPENID = "oXyz_1234567890123456789012"  # as long as WeChat's
MERCHANT = "1234567890"
TEXT = {"type": "text", "text": "您" * 250}
UNREACHABLE = NotSent(
    Failure("wechat_unreachable", "send: no answer (refused); never sent"), Wait.SHORT
)


class ScriptedWeChat:
    """Takes every message, after the outcomes of its script."""

    def __init__(self) -> None:
        self.calls = 0
        self.script: list[Outcome] = []

    def send(self, message: OutboundMessage) -> Outcome:
        self.calls += 1
        return self.script.pop(0) if self.script else Sent()


class Office:
    """Acceptance and worker on the emulator, with metered and counting clients."""

    def __init__(self, resources: Resources) -> None:
        self.clock = FakeClock()
        messages = resources.table("MessagesTable")
        conversations = resources.table("ConversationsTable")
        self.messages = MeteredClient(resources.dynamodb, messages, "MessagesTable")
        counting = CountingClient(self.messages)
        self.calls = counting.calls
        self.conversations = MeteredClient(resources.dynamodb, conversations, "ConversationsTable")
        self.sqs = CountingClient(resources.sqs)
        self.wechat = ScriptedWeChat()
        self.store = MessagesTable(counting, messages, 30, self.clock)
        self.buyers = ConversationsTable(self.conversations, conversations)
        self.queue = OutboundSqsQueue(self.sqs, resources.queue("OutboundQueue"))
        self.acceptance = Acceptance(self.store, self.queue, self.clock, 15 * MINUTE, ignore_report)
        self.broadcasts = Broadcasts(
            BroadcastsTable(counting, messages, 30, self.clock), self.store, self.clock
        )
        self.windows = SendWindows(self.buyers, self.store, self.clock)
        self.subscriptions = SubscriptionsTable(
            resources.dynamodb, resources.table("SubscriptionsTable")
        )
        self.events = FanOut(
            CachedSubscriptions(self.subscriptions, self.clock),
            DeliverySqsQueue(self.sqs, resources.queue("DeliveriesQueue")),
            self.clock,
        )
        app_id = "wx0123456789abcdef"
        self.worker = Attempt(
            self.store, self.wechat, self.events, self.clock, app_id, ignore_report
        )

    def expander(self, buyers: KnownBuyers | None = None) -> Expander:
        return Expander(
            store=self.store,
            queue=self.queue,
            outcomes=self.events,
            buyers=buyers,
            clock=self.clock,
            max_age_ms=15 * MINUTE,
            app_id="wx0123456789abcdef",
        )

    @property
    def written(self) -> int:
        return self.messages.written + self.conversations.written

    @property
    def read(self) -> float:
        return self.messages.read + self.conversations.read

    def reset(self) -> None:
        self.messages.reset()
        self.conversations.reset()
        self.sqs.calls.clear()

    def accept(self, key: str | None = None) -> OutboundMessage:
        return self.acceptance.accept(OutboundMessage(MERCHANT, OPENID, TEXT), key)

    def send(self, key: str | None = None) -> OutboundMessage:
        accepted = self.accept(key)
        self.worker.attempt(MERCHANT, accepted.message_id)
        self.clock.advance(SECOND)
        return self.acceptance.get(MERCHANT, accepted.message_id)

    def receive(self, number: int) -> None:
        """What the inbound function records of a buyer's message."""
        event = Event(
            f"{number:064x}",
            EventType.MESSAGE_RECEIVED,
            "wx0123456789abcdef",
            MERCHANT,
            OPENID,
            self.clock(),
            {"message_id": f"{24 * 10**18 + number}", "message": TEXT},
        )
        self.buyers.record_message(MERCHANT, OPENID, event.at_ms)
        self.store.keep(event)


@pytest.fixture
def office(resources: Resources) -> Office:
    return Office(resources)


def test_a_send_of_250_chinese_characters_costs_five_units_and_with_a_key_six(
    office: Office,
) -> None:
    assert office.send().status is Status.SENT
    assert office.written == 5
    assert office.sqs.calls == {"send_message": 1}
    assert office.wechat.calls == 1
    office.reset()
    office.send("order-7-shipped")
    assert office.written == 6


def test_an_outcome_costs_one_queue_call_for_its_subscribers(office: Office) -> None:
    target = Target(TargetType.WEBHOOK, "https://shop.test/hook")
    office.subscriptions.add(Subscription(MERCHANT, "s1", target))
    office.subscriptions.add(Subscription(ANY_MERCHANT, "s2", target))
    office.send()
    assert office.sqs.calls == {"send_message": 1, "send_message_batch": 1}


def test_a_failed_attempt_that_waits_costs_two_units(office: Office) -> None:
    office.wechat.script = [UNREACHABLE]
    accepted = office.accept()
    office.reset()
    with pytest.raises(RetryLater):
        office.worker.attempt(MERCHANT, accepted.message_id)
    assert office.written == 2


def test_a_received_message_costs_four_units_at_most_and_two_within_a_minute(
    office: Office,
) -> None:
    costs = []
    for number, pause in enumerate((0, SECOND, MINUTE, SECOND)):
        office.clock.advance(pause)
        office.reset()
        office.receive(number)
        costs.append(office.written)
    assert costs == [3, 2, 4, 2]


def test_the_window_of_a_send_costs_one_and_a_half_units(office: Office) -> None:
    office.receive(1)
    for _ in range(3):
        office.send()
    office.reset()
    assert office.windows.find(MERCHANT, OPENID).remaining == 2
    assert office.read == 1.5


def test_whether_a_conversation_takes_another_message_costs_one_unit(office: Office) -> None:
    office.receive(1)
    for _ in range(19):
        office.accept()
    office.reset()
    standing = office.windows.look(MERCHANT, OPENID)
    assert standing.refusal is None
    assert (office.read, office.written) == (1.0, 0)
    office.accept()
    assert office.windows.look(MERCHANT, OPENID).refusal is not None


def test_a_repeated_request_costs_one_refused_write_and_a_read(office: Office) -> None:
    first = office.send("k")
    office.reset()
    assert office.accept("k") == first
    assert (office.written, office.read) == (1, 1.0)
    assert office.wechat.calls == 1


def test_a_worker_reads_half_a_unit_to_keep_the_order(office: Office) -> None:
    accepted = office.accept()
    office.reset()
    office.worker.attempt(MERCHANT, accepted.message_id)
    assert (office.read, office.written) == (0.5, 3)


def test_a_broadcast_is_expanded_with_one_write_for_each_and_few_other_calls(
    office: Office,
) -> None:
    """What a thousand recipients cost: a thousand writes, a hundred queue calls, ten reads."""
    openids = tuple(f"buyer{n}" for n in range(100))
    for openid in openids:
        office.buyers.record_message("42", openid, 1_000)
    broadcast = office.broadcasts.accept(BroadcastRequest("42", openids, TEXT))
    office.reset()
    office.calls.clear()
    office.expander(office.buyers).expand(broadcast)
    assert office.calls == {"put_item": 100}
    assert office.sqs.calls == {"send_message_batch": 10}
    assert office.conversations.read == 100


def test_strangers_cost_no_queue_call_and_no_call_of_wechat(office: Office) -> None:
    openids = tuple(f"stranger{n}" for n in range(20))
    broadcast = office.broadcasts.accept(BroadcastRequest("42", openids, TEXT))
    office.expander(office.buyers).expand(broadcast)
    assert office.broadcasts.progress(broadcast) == {"failed": 20}
    assert office.sqs.calls == {}


def test_a_broadcast_costs_one_row_more_than_its_messages(office: Office) -> None:
    openids = tuple(f"buyer{n}" for n in range(10))
    broadcast = office.broadcasts.accept(BroadcastRequest("42", openids, TEXT))
    assert office.written == 2  # text and recipients, some 1.5 KB
    office.reset()
    office.expander().expand(broadcast)
    for recipient in office.broadcasts.recipients(broadcast, start=0, limit=10).items:
        office.worker.attempt("42", recipient.message_id)
    assert office.broadcasts.progress(broadcast) == {"sent": 10}
    assert office.written == 5 * 10
    assert office.calls["batch_get_item"] == 2
