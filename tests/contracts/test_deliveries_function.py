"""The deliveries function whole: queue and table of the emulator, webhooks on the loopback."""

from __future__ import annotations

import importlib
import json
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.contracts.aws_resources import Resources
from tests.unit.adapters.webhooks.loopback import OK, Server, answer, serving
from wechat_kf.adapters.aws.backlog_table import BacklogTable
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import GRACE_MS, PATIENCE_MS
from wechat_kf.domain.subscriptions.circuit import GONE_AFTER_MS, Circuit
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.domain.subscriptions.management import create_secret
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf_local.emulator import Emulator

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
    drains_url: str
    subscriptions: SubscriptionsTable
    backlog: BacklogTable

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

    def invoke(self, queue_url: str = "") -> list[str]:
        """Hand the function all that is waiting, delete what it settled; the bodies it left."""
        queue_url = queue_url or self.queue_url
        records = self._receive(queue_url)
        if not records:
            return []
        handler = self.function.handler
        failures = handler({"Records": records}, Context())["batchItemFailures"]
        left = [failure["itemIdentifier"] for failure in failures]
        for record in records:
            if record["messageId"] not in left:
                self.sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=record["receiptHandle"])
        return [record["body"] for record in records if record["messageId"] in left]

    def left(self) -> list[str]:
        """Deliver; the ids of the events that must wait."""
        return [delivery_from_body(body).event.id for body in self.invoke()]

    def _receive(self, queue_url: str) -> list[dict[str, Any]]:
        messages = self.sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages", [])
        name = queue_url.rpartition("/")[2]
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "eventSourceARN": f"arn:aws:sqs:us-east-1:000000000000:{name}",
            }
            for message in messages
        ]

    def notices(self) -> list[Delivery]:
        """What was queued for other subscribers."""
        return [delivery_from_body(record["body"]) for record in self._receive(self.queue_url)]


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
    table, backlog = resources.table("SubscriptionsTable"), resources.table("BacklogTable")
    urls = {
        "DELIVERIES_QUEUE_URL": resources.queue("DeliveriesQueue"),
        "DRAINS_QUEUE_URL": resources.queue("DrainsQueue"),
    }
    environment = {
        **emulator.client_environment(),
        **urls,
        "APP_ID": "wx1",
        "SUBSCRIPTIONS_TABLE": table,
        "BACKLOG_TABLE": backlog,
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
        urls["DRAINS_QUEUE_URL"],
        SubscriptionsTable(dynamodb, table),
        BacklogTable(dynamodb, backlog, table),
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
        assert deployment.left() == ["bad-0", "bad-1"]
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


def test_what_waits_too_long_is_parked_and_drained_in_order(deployment: Deployment) -> None:
    key = ("42", "shop")
    with serving(answer(b"HTTP/1.1 500 No\r\n\r\n")) as bad:
        deployment.subscribe("shop", bad)
        deployment.backlog.open(key, now_ms() - GRACE_MS)
        deployment.line_up("shop", "o1", "o1", "o2", queued_at=now_ms() - PATIENCE_MS)
        assert deployment.invoke() == []
    assert deployment.backlog.size(key).waiting == 3
    with serving(answer(OK)) as server:
        found = deployment.subscriptions.get(*key)
        assert found
        target = Target(TargetType.WEBHOOK, f"http://127.0.0.1:{server.port}/shop")
        assert deployment.subscriptions.update(replace(found, target=target))
        recovered = replace(found.circuit, recovered_at=now_ms())
        assert deployment.subscriptions.move_circuit(found, recovered)
        deployment.function.bootstrap.drain_queue(deployment.function.SETTINGS).wake(key, "1")
        for _ in range(3):
            deployment.invoke(deployment.drains_url)
    assert sorted(ids(server)) == ["shop-0", "shop-1", "shop-2"]
    assert [one for one in ids(server) if one != "shop-2"] == ["shop-0", "shop-1"]
    assert deployment.backlog.size(key).waiting == 0


def test_a_second_410_disables_and_others_and_the_operators_are_notified(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(answer(b"HTTP/1.1 410 Gone\r\n\r\n")) as server:
        deployment.subscribe("shop", server)
        deployment.subscribe("neighbour", server)
        found = deployment.subscriptions.get("42", "shop")
        assert found
        first = Circuit().witness_gone("earlier", now_ms() - GONE_AFTER_MS)
        deployment.subscriptions.move_circuit(found, first)
        deployment.line_up("shop", "o1")
        assert deployment.left() == ["shop-0"]
    found = deployment.subscriptions.get("42", "shop")
    assert found
    assert (found.status, found.status_reason) == (SubscriptionStatus.DISABLED, "answered 410")
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
    assert "delivery postponed" in logged
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
        assert deployment.left() == ["shop-0"]
    assert server.requests == []
