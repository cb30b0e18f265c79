"""Subscribers inside AWS: what a merchant's queue and the event bus receive."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from wechat_kf.adapters.aws.subscribers import EventBusSubscriber, SqsSubscriber
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType
from wechat_kf_local.emulator import Emulator

EVENT = Event(
    id="a" * 64,
    type=EventType.MESSAGE_RECEIVED,
    app_id="wx0123456789abcdef",
    business_id="42",
    openid="buyer",
    at_ms=1_767_225_600_123,
    data={"message": {"type": "text", "text": "您好 👋"}},
)


def subscription(kind: TargetType, address: str) -> Subscription:
    return Subscription("42", "sub_1", Target(kind, address))


def new_queue(sqs: Any, *, fifo: bool) -> str:
    name = f"wechat-kf-subscriber-{uuid.uuid4().hex}" + (".fifo" if fifo else "")
    attributes = {"FifoQueue": "true"} if fifo else {}
    url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    messages = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], WaitTimeSeconds=1
    ).get("Messages", [])
    return list(messages)


@pytest.mark.parametrize("fifo", [False, True], ids=["standard", "fifo"])
def test_a_queue_receives_the_cloudevent(sqs: Any, fifo: bool) -> None:
    url = new_queue(sqs, fifo=fifo)
    target = subscription(TargetType.QUEUE, url)
    assert SqsSubscriber(sqs).deliver(target, EVENT) == Delivered()
    [message] = received(sqs, url)
    assert json.loads(message["Body"]) == EVENT.to_cloudevent()
    parsed = from_http_event(
        HTTPMessage({"content-type": "application/cloudevents+json"}, message["Body"].encode())
    )
    assert (parsed.get_id(), parsed.get_data()) == (EVENT.id, EVENT.data)


def test_a_fifo_queue_keeps_conversations_apart_and_drops_repeats(sqs: Any) -> None:
    url = new_queue(sqs, fifo=True)
    target = subscription(TargetType.QUEUE, url)
    other = replace(EVENT, id="b" * 64, openid="other")
    for event in (EVENT, EVENT, other):
        assert SqsSubscriber(sqs).deliver(target, event) == Delivered()
    groups = [message["Attributes"]["MessageGroupId"] for message in received(sqs, url)]
    assert sorted(groups) == ["42#buyer", "42#other"]


def test_the_bus_receives_the_cloudevent_under_its_type(emulator: Emulator, sqs: Any) -> None:
    events = emulator.client("events")
    bus, url = f"bus-{uuid.uuid4().hex}", new_queue(sqs, fifo=False)
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    events.create_event_bus(Name=bus)
    pattern = {"source": ["wechat-kf"], "detail-type": ["wechat.kf.message.received"]}
    events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps(pattern))
    events.put_targets(
        Rule="all", EventBusName=bus, Targets=[{"Id": "queue", "Arn": queue_arn["QueueArn"]}]
    )
    target = subscription(TargetType.EVENT_BUS, bus)
    assert EventBusSubscriber(events).deliver(target, EVENT) == Delivered()
    [message] = received(sqs, url)
    assert json.loads(message["Body"])["detail"] == EVENT.to_cloudevent()


def test_a_queue_that_is_gone_is_a_reason_to_come_again(sqs: Any) -> None:
    url = new_queue(sqs, fifo=False)
    sqs.delete_queue(QueueUrl=url)
    result = SqsSubscriber(sqs).deliver(subscription(TargetType.QUEUE, url), EVENT)
    assert isinstance(result, Deferred)
    assert result.reason.startswith("SQS: ")


class Silent:
    """A service that does not answer."""

    def send_message(self, **_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://sqs.example")

    def put_events(self, **_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://events.example")


class Partial:
    """PutEvents answers 200, and did not take the entry."""

    def put_events(self, **_: object) -> dict[str, Any]:
        return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}


@pytest.mark.parametrize(
    ("subscriber", "reason"),
    [
        (SqsSubscriber(Silent()), "SQS: ReadTimeoutError"),
        (EventBusSubscriber(Silent()), "EventBridge: ReadTimeoutError"),
        (EventBusSubscriber(Partial()), "EventBridge: ThrottlingException"),
    ],
)
def test_a_service_that_does_not_take_it_is_a_reason_to_come_again(
    subscriber: SqsSubscriber | EventBusSubscriber, reason: str
) -> None:
    target = subscription(TargetType.QUEUE, "https://sqs.example/1/q")
    assert subscriber.deliver(target, EVENT) == Deferred(reason)
