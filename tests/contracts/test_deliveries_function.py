"""The deliveries function whole: queue and table of the emulator, webhooks on the loopback."""

from __future__ import annotations

import importlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from standardwebhooks import Webhook

from local.emulator import Emulator
from tests.contracts.aws_resources import Resources
from tests.unit.adapters.webhooks.loopback import OK, Server, answer, serving
from wechat_kf.adapters.aws.queues import DeliverySqsQueue, delivery_from_body
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.domain.subscriptions.management import create_secret
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)

MODULE = "functions.deliveries.deliveries_handler"
SECRET = create_secret()

pytestmark = pytest.mark.usefixtures("aws_session")


class Context:
    """What Lambda tells a function about its invocation."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@dataclass
class Deployment:
    """The function, its queues and its table."""

    function: ModuleType
    sqs: Any
    queue_url: str
    dead_letters_url: str
    subscriptions: SubscriptionsTable

    def subscribe(self, name: str, server: Server) -> None:
        target = Target(TargetType.WEBHOOK, f"http://127.0.0.1:{server.port}/{name}")
        self.subscriptions.add(Subscription("42", name, target, secrets=(SECRET,)))

    def line_up(self, name: str, *openids: str, queued_at: int | None = None) -> None:
        """One event per conversation, numbered in the order they are lined up."""
        DeliverySqsQueue(self.sqs, self.queue_url).put(
            [
                Delivery("42", name, event_of(f"{name}-{number}", openid), queued_at or now_ms())
                for number, openid in enumerate(openids)
            ]
        )

    def invoke(self) -> list[str]:
        """Hand the function all that is waiting, delete what it settled; the ids it gave back."""
        records = self._receive()
        handler = self.function.handler
        failures = handler({"Records": records}, Context())["batchItemFailures"]
        left = [failure["itemIdentifier"] for failure in failures]
        for record in records:
            if record["messageId"] not in left:
                self.sqs.delete_message(
                    QueueUrl=self.queue_url, ReceiptHandle=record["receiptHandle"]
                )
        return [
            delivery_from_body(record["body"]).event.id
            for record in records
            if record["messageId"] in left
        ]

    def _receive(self) -> list[dict[str, Any]]:
        messages = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]
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

    def notices(self) -> list[Delivery]:
        """What was queued for other subscribers."""
        return [delivery_from_body(record["body"]) for record in self._receive()]

    def dead_letters(self) -> list[tuple[str, str]]:
        messages = self.sqs.receive_message(
            QueueUrl=self.dead_letters_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages", [])
        return [
            (
                delivery_from_body(message["Body"]).event.id,
                message["MessageAttributes"]["reason"]["StringValue"],
            )
            for message in messages
        ]


def event_of(event_id: str, openid: str) -> Event:
    data = {"message": {"type": "text", "text": "hunter2"}}
    return Event(event_id, EventType.MESSAGE_RECEIVED, "wx1", "42", openid, now_ms(), data)


@pytest.fixture
def deployment(
    emulator: Emulator,
    resources: Resources,
    dynamodb: Any,
    sqs: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Deployment]:
    table = resources.table("SubscriptionsTable")
    urls = {
        "DELIVERIES_QUEUE_URL": resources.queue("DeliveriesQueue"),
        "DELIVERIES_DEAD_LETTER_QUEUE_URL": resources.queue("DeliveriesDeadLetterQueue"),
    }
    environment = {
        **emulator.client_environment(),
        **urls,
        "APP_ID": "wx1",
        "SUBSCRIPTIONS_TABLE": table,
        "ALLOW_LOOPBACK_SUBSCRIBERS": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "test",
        "POWERTOOLS_SERVICE_NAME": "deliveries",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sys.modules.pop(MODULE, None)
    yield Deployment(
        importlib.import_module(MODULE),
        sqs,
        urls["DELIVERIES_QUEUE_URL"],
        urls["DELIVERIES_DEAD_LETTER_QUEUE_URL"],
        SubscriptionsTable(dynamodb, table),
    )
    sys.modules.pop(MODULE, None)


def ids(server: Server) -> list[str]:
    return [json.loads(request.partition(b"\r\n\r\n")[2])["id"] for request in server.requests]


def test_events_arrive_signed_once_and_in_the_order_of_their_conversation(
    deployment: Deployment,
) -> None:
    with serving(answer(OK)) as server:
        deployment.subscribe("shop", server)
        deployment.line_up("shop", "o1", "o1", "o1")
        assert deployment.invoke() == []
        assert deployment.invoke() == []
    assert ids(server) == ["shop-0", "shop-1", "shop-2"]
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert Webhook(SECRET).verify(body, headers)["id"] == "shop-0"


def test_a_failed_event_and_all_behind_it_wait_while_other_conversations_go_on(
    deployment: Deployment,
) -> None:
    def picky(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")

    with serving(picky) as bad, serving(answer(OK)) as good:
        deployment.subscribe("bad", bad)
        deployment.subscribe("good", good)
        deployment.line_up("bad", "o1", "o1")
        deployment.line_up("good", "o1", "o2")
        assert deployment.invoke() == ["bad-0", "bad-1"]
    assert ids(bad) == ["bad-0"]
    assert sorted(ids(good)) == ["good-0", "good-1"]


def test_a_slow_subscriber_does_not_hold_up_the_others_in_its_batch(
    deployment: Deployment,
) -> None:
    others_done = threading.Event()
    overtaken: list[bool] = []

    def slow(connection: socket.socket) -> None:
        overtaken.append(others_done.wait(4))
        connection.sendall(OK)

    def quick(connection: socket.socket) -> None:
        if len(hare.requests) == 9:
            others_done.set()
        connection.sendall(OK)

    with serving(slow) as tortoise, serving(quick) as hare:
        deployment.subscribe("tortoise", tortoise)
        deployment.subscribe("hare", hare)
        deployment.line_up("tortoise", "o1")
        deployment.line_up("hare", *(f"o{number}" for number in range(9)))
        assert deployment.invoke() == []
    assert overtaken == [True]


def test_what_is_too_old_goes_to_the_dead_letters_with_the_reason(deployment: Deployment) -> None:
    with serving(answer(b"HTTP/1.1 500 No\r\n\r\n")) as server:
        deployment.subscribe("shop", server)
        deployment.line_up("shop", "o1", queued_at=1)
        assert deployment.invoke() == []
    assert deployment.dead_letters() == [("shop-0", "expired: answered 500")]


def test_a_410_disables_and_notifies_the_other_subscribers_and_the_operators(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(answer(b"HTTP/1.1 410 Gone\r\n\r\n")) as server:
        deployment.subscribe("shop", server)
        deployment.subscribe("neighbour", server)
        deployment.line_up("shop", "o1")
        assert deployment.invoke() == []
    found = deployment.subscriptions.get("42", "shop")
    assert found
    assert (found.status, found.status_reason) == (SubscriptionStatus.DISABLED, "answered 410")
    assert deployment.dead_letters() == [("shop-0", "disabled")]
    notices = {notice.subscription_id: notice.event for notice in deployment.notices()}
    notice = notices["neighbour"]
    assert notice.type == EventType.SUBSCRIPTION_PAUSED
    assert (notice.business_id, notice.data["subscription_id"]) == ("42", "shop")
    assert "SubscriptionsStopped" in capsys.readouterr().out


def test_neither_secrets_nor_words_are_logged(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(answer(b"HTTP/1.1 500 No\r\n\r\n")) as bad, serving(answer(OK)) as good:
        deployment.subscribe("bad", bad)
        deployment.subscribe("good", good)
        deployment.line_up("bad", "o1")
        deployment.line_up("good", "o1")
        deployment.invoke()
    logged = "".join(str(vars(record)) for record in caplog.records)
    assert "delivery settled" in logged
    assert "answered 500" in logged
    for secret in ("hunter2", SECRET.removeprefix("whsec_"), "127.0.0.1:", "v1,"):
        assert secret not in logged


def test_a_function_about_to_be_stopped_starts_no_call(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda _: 6_000)
    with serving(answer(OK)) as server:
        deployment.subscribe("shop", server)
        deployment.line_up("shop", "o1")
        assert deployment.invoke() == ["shop-0"]
    assert server.requests == []
