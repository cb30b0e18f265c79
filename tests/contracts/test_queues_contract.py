"""What the producers put on real queues, and what they do when a queue does not answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import RecordingDeliveries, RecordingEvents, RecordingOutbound
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue, DrainSqsQueue, drain_from_body
from wechat_kf.adapters.aws.fifo import safe_id
from wechat_kf.adapters.aws.inbound_queue import (
    EventSqsQueue,
    UnrecordedSqsQueue,
    event_from_body,
    is_delivered,
)
from wechat_kf.adapters.aws.outbound_queue import (
    OutboundLanes,
    OutboundSqsQueue,
    outbound_from_body,
)
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import Event, EventQueue, EventType
from wechat_kf.domain.messages.message import OutboundMessage
from wechat_kf.domain.messages.ports import OutboundQueue
from wechat_kf.domain.subscriptions.delivery import Delivery, DeliveryQueue, lane_of

EVENT = Event(
    id="a" * 64,
    type=EventType.MESSAGE_RECEIVED,
    app_id="wx0123456789abcdef",
    business_id="42",
    openid="buyer",
    at_ms=1_767_225_600_123,
    data={
        "text": "您好 👋\u2028\x00\x1b </xml>",
        "message_id": "22923519871373703",
        "deep": [{"n": None}],
    },
)
MESSAGE = OutboundMessage("42", "buyer", {"type": "text", "text": "geheim"}, message_id="m1")
DELIVERY = Delivery("*", "s1", EVENT, 1_767_225_600_500)


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    """Everything on a queue, in order; it is taken off."""
    messages: list[dict[str, Any]] = []
    while batch := sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        MessageAttributeNames=["All"],
    ).get("Messages"):
        messages += batch
        for message in batch:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return messages


# -- events


@pytest.fixture(params=["fake", "real"])
def events(request: pytest.FixtureRequest) -> tuple[EventQueue, Callable[[], list[Event]]]:
    if request.param == "fake":
        fake = RecordingEvents()
        return fake, lambda: list(fake.events.values())
    resources: Resources = request.getfixturevalue("resources")
    url = resources.queue("InboundQueue")
    real = EventSqsQueue(resources.sqs, url)
    return real, lambda: [event_from_body(one["Body"]) for one in received(resources.sqs, url)]


def test_events_arrive_as_they_were_once_and_in_order(
    events: tuple[EventQueue, Callable[[], list[Event]]],
) -> None:
    queue, arrived = events
    second = replace(EVENT, id="b" * 64)
    for event in (EVENT, second, EVENT):
        queue.put(event)
    assert arrived() == [EVENT, second]


def test_an_event_waits_in_the_line_of_its_conversation(resources: Resources, sqs: Any) -> None:
    url = resources.queue("InboundQueue")
    EventSqsQueue(sqs, url).put(EVENT)
    (message,) = received(sqs, url)
    assert message["Attributes"]["MessageGroupId"] == "42#buyer"
    assert json.loads(message["Body"])["specversion"] == "1.0"


@pytest.mark.parametrize("text", ["\ud83d", "\uffff", "\ufffe 您好", "\x00", "👋"])
def test_any_text_arrives_as_it_was(resources: Resources, sqs: Any, text: str) -> None:
    url = resources.queue("InboundQueue")
    event = replace(EVENT, data={"text": text})
    EventSqsQueue(sqs, url).put(event)
    (message,) = received(sqs, url)
    message["Body"].encode()
    assert event_from_body(message["Body"]) == event


@pytest.mark.parametrize("openid", ["\ud83d", "o" * 200, "买家", "a b", "line\nbreak", "é"])
def test_any_openid_finds_its_line(resources: Resources, sqs: Any, openid: str) -> None:
    url = resources.queue("InboundQueue")
    event = replace(EVENT, openid=openid)
    EventSqsQueue(sqs, url).put(event)
    (message,) = received(sqs, url)
    assert event_from_body(message["Body"]) == event


def test_an_event_to_record_only_waits_apart_from_its_conversation(
    resources: Resources, sqs: Any
) -> None:
    url = resources.queue("InboundQueue")
    UnrecordedSqsQueue(sqs, url).put(EVENT)
    UnrecordedSqsQueue(sqs, url).put(EVENT)
    EventSqsQueue(sqs, url).put(EVENT)
    messages = received(sqs, url)
    assert len(messages) == 2
    assert len({message["Attributes"]["MessageGroupId"] for message in messages}) == 2
    assert [event_from_body(message["Body"]) for message in messages] == [EVENT, EVENT]
    assert sorted(is_delivered(message["Body"]) for message in messages) == [False, True]


def test_safe_ids_are_kept_and_others_stay_apart() -> None:
    assert safe_id("42#oABC-_=1") == "42#oABC-_=1"
    unsafe = [safe_id(text) for text in ("a b", "a  b", "x" * 129, "x" * 130, "")]
    assert len(set(unsafe)) == 5
    assert all(len(one) == 64 for one in unsafe)


# -- outbound


@pytest.fixture(params=["fake", "real"])
def outbound(
    request: pytest.FixtureRequest,
) -> tuple[OutboundQueue, Callable[[], list[tuple[str, str]]]]:
    if request.param == "fake":
        fake = RecordingOutbound()
        return fake, lambda: fake.messages
    resources: Resources = request.getfixturevalue("resources")
    url = resources.queue("OutboundQueue")
    real = OutboundSqsQueue(resources.sqs, url)
    return real, lambda: [outbound_from_body(one["Body"]) for one in received(resources.sqs, url)]


def test_a_message_is_queued_once_and_again_after_a_callers_retry(
    outbound: tuple[OutboundQueue, Callable[[], list[tuple[str, str]]]],
) -> None:
    queue, arrived = outbound
    for message in (MESSAGE, replace(MESSAGE, message_id="m2"), MESSAGE):
        queue.put(message)
    queue.put(replace(MESSAGE, attempts=1))
    queue.put(replace(MESSAGE, expires_at=1))
    assert arrived() == [("42", "m1"), ("42", "m2"), ("42", "m1")]


def test_the_outbound_queue_carries_no_text(resources: Resources, sqs: Any) -> None:
    url = resources.queue("OutboundQueue")
    OutboundSqsQueue(sqs, url).put(MESSAGE)
    (message,) = received(sqs, url)
    assert message["Attributes"]["MessageGroupId"] == "42#buyer"
    assert "geheim" not in str(message)


def test_many_messages_are_queued_ten_with_each_request(resources: Resources, sqs: Any) -> None:
    url = resources.queue("OutboundQueue")
    counting = CountingClient(sqs)
    many = [replace(MESSAGE, message_id=f"m{number}", openid=f"o{number}") for number in range(23)]
    OutboundSqsQueue(counting, url).put_all(many)
    OutboundSqsQueue(sqs, url).put(many[0])  # a repeat is recognized
    assert counting.calls == {"send_message_batch": 3}
    arrived = [outbound_from_body(one["Body"]) for one in received(sqs, url)]
    assert sorted(arrived) == sorted(("42", message.message_id) for message in many)


def test_messages_of_broadcasts_take_the_other_lane() -> None:
    outbound, bulk = RecordingOutbound(), RecordingOutbound()
    lanes = OutboundLanes(outbound, bulk)  # type: ignore[arg-type]
    lanes.put(MESSAGE)
    lanes.put(replace(MESSAGE, message_id="m2", broadcast_id="b1"))
    assert (outbound.messages, bulk.messages) == ([("42", "m1")], [("42", "m2")])


# -- deliveries


@pytest.fixture(params=["fake", "real"])
def deliveries(
    request: pytest.FixtureRequest,
) -> tuple[DeliveryQueue, Callable[[], list[Delivery]]]:
    if request.param == "fake":
        fake = RecordingDeliveries()
        return fake, lambda: list(fake.deliveries.values())
    resources: Resources = request.getfixturevalue("resources")
    url = resources.queue("DeliveriesQueue")
    real = DeliverySqsQueue(resources.sqs, url)
    return real, lambda: [delivery_from_body(one["Body"]) for one in received(resources.sqs, url)]


def test_deliveries_of_many_subscribers_all_arrive_once(
    deliveries: tuple[DeliveryQueue, Callable[[], list[Delivery]]],
) -> None:
    queue, arrived = deliveries
    many = [replace(DELIVERY, subscription_id=f"s{number}") for number in range(23)]
    queue.put(many)
    queue.put([replace(one, queued_at=one.queued_at + 1) for one in many[:3]])
    assert sorted(arrived(), key=lambda one: int(one.subscription_id[1:])) == many


def test_one_subscribers_line_does_not_hold_up_anothers(resources: Resources, sqs: Any) -> None:
    url = resources.queue("DeliveriesQueue")
    other = replace(EVENT, id="c" * 64, openid="other")
    lines = [DELIVERY, replace(DELIVERY, subscription_id="s2"), replace(DELIVERY, event=other)]
    DeliverySqsQueue(sqs, url).put(lines)
    groups = [message["Attributes"]["MessageGroupId"] for message in received(sqs, url)]
    assert len(set(groups)) == 3


def test_large_events_are_split_over_several_calls() -> None:
    sizes: list[int] = []

    class Sqs:
        def send_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> Any:  # noqa: N803
            sizes.append(sum(len(entry["MessageBody"].encode()) for entry in Entries))
            return {}

    large = replace(EVENT, data={"text": "好" * 30_000})
    many = [replace(DELIVERY, subscription_id=f"s{number}", event=large) for number in range(5)]
    DeliverySqsQueue(Sqs(), "url").put(many)
    assert len(sizes) == 3
    assert max(sizes) <= 256 * 1024


class PartlyFailing:
    """Takes a batch but for the entries it refuses; remembers what was asked of it."""

    def __init__(self, *refusals: set[str]) -> None:
        self.refusals = list(refusals)
        self.asked: list[list[str]] = []

    def send_message_batch(self, *, Entries: list[dict[str, str]], **_: Any) -> Any:  # noqa: N803
        self.asked.append([entry["Id"] for entry in Entries])
        refused = self.refusals.pop(0) if self.refusals else set()
        return {"Failed": [{"Id": one, "Code": "InternalError"} for one in sorted(refused)]}


def test_what_is_refused_of_a_batch_is_tried_again() -> None:
    sqs = PartlyFailing({"1", "2"}, {"2"})
    DeliverySqsQueue(sqs, "url").put(
        [replace(DELIVERY, subscription_id=f"s{number}") for number in range(3)]
    )
    assert sqs.asked == [["0", "1", "2"], ["1", "2"], ["2"]]


def test_a_delivery_that_stays_refused_is_not_called_safe() -> None:
    sqs = PartlyFailing(*[{"0"}] * 10)
    with pytest.raises(UnavailableError):
        DeliverySqsQueue(sqs, "url").put([DELIVERY])
    assert len(sqs.asked) == 3


# -- dead letters


def test_a_drain_is_woken_once_per_token(resources: Resources, sqs: Any) -> None:
    url = resources.queue("DrainsQueue")
    queue = DrainSqsQueue(sqs, url)
    for token in ("1", "1", "2"):
        queue.wake(("*", "sub_1"), token)
    messages = received(sqs, url)
    assert [drain_from_body(one["Body"]) for one in messages] == [(("*", "sub_1"), "")] * 2
    assert len({one["Attributes"]["MessageGroupId"] for one in messages}) == 1


def test_lanes_are_woken_side_by_side(resources: Resources, sqs: Any) -> None:
    url = resources.queue("DrainsQueue")
    queue = DrainSqsQueue(sqs, url)
    lanes = [lane_of("sub_1", f"o{number}") for number in range(12)]
    queue.wake_lanes(("42", "sub_1"), lanes, "1")
    queue.wake_lanes(("42", "sub_1"), lanes[:3], "1")
    messages = [*received(sqs, url), *received(sqs, url)]
    assert sorted(drain_from_body(one["Body"])[1] for one in messages) == sorted(lanes)
    assert len({one["Attributes"]["MessageGroupId"] for one in messages}) == 12


# -- failures


class Silent:
    """An SQS that never answers."""

    def __getattr__(self, operation: str) -> Any:
        def call(**_: Any) -> Any:
            raise ReadTimeoutError(endpoint_url="https://sqs.example.test")

        return call


@pytest.mark.parametrize(
    "put",
    [
        lambda sqs: EventSqsQueue(sqs, "url").put(EVENT),
        lambda sqs: OutboundSqsQueue(sqs, "url").put(MESSAGE),
        lambda sqs: DeliverySqsQueue(sqs, "url").put([DELIVERY]),
        lambda sqs: DrainSqsQueue(sqs, "url").wake(("42", "sub_1"), "1"),
        lambda sqs: DrainSqsQueue(sqs, "url").wake_lanes(("42", "sub_1"), ["lane"], "1"),
    ],
    ids=["events", "outbound", "deliveries", "drains", "lanes"],
)
def test_a_queue_that_does_not_answer_is_unavailable(put: Callable[[Any], None]) -> None:
    with pytest.raises(UnavailableError, match="SQS did not answer"):
        put(Silent())


def test_a_queue_that_does_not_exist_is_unavailable(resources: Resources, sqs: Any) -> None:
    url = resources.queue("InboundQueue").replace("InboundQueue", "NoQueue")
    with pytest.raises(UnavailableError, match="SQS refused the call"):
        EventSqsQueue(sqs, url).put(EVENT)


@pytest.mark.parametrize("body", ["", "[]", "{}", "null", '{"event": 1}'])
@pytest.mark.parametrize("parse", [event_from_body, outbound_from_body, delivery_from_body])
def test_a_foreign_body_is_one_of_three_errors(parse: Callable[[str], Any], body: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse(body)
