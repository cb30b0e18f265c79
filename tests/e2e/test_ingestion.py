"""What the merchants' systems see of the deployed stack, and what they can do to each other."""

from __future__ import annotations

import base64
import json
import re
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

from tests.e2e.pushing import push
from tests.pushes import BROKEN_PUSHES, Console, Request
from wechat_kf.domain.subscriptions.management import create_secret
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.png import plain_png

pytestmark = pytest.mark.usefixtures("patient_wechat")

PATIENCE_SECONDS = 60
RECEIVED = "wechat.kf.message.received"


@dataclass(frozen=True)
class Shop:
    """A merchant with one webhook."""

    api: ApiClient
    receiver: ReceiverClient
    business_id: str
    hook: str
    secret: str
    path: str

    def requests(self, event_type: str) -> list[dict[str, Any]]:
        """What came in of that type: `body`, `headers`, `at`, …"""
        items = self.receiver.received(self.hook)
        return [item for item in items if json.loads(item["body"])["type"] == event_type]

    def wait_for(self, event_type: str, count: int = 1) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]]:
            found = self.requests(event_type)
            return found if len(found) >= count else []

        return wait_until(enough, PATIENCE_SECONDS, f"{count} {event_type} at {self.hook}")


Open = Callable[..., Shop]


@pytest.fixture
def open_shop(api: ApiClient, receiver: ReceiverClient) -> Iterator[Open]:
    """Registers a merchant that subscribes with a webhook of the receiver, or with `url`.

    The subscriptions end with the test: what waits for a slow one would slow down later tests.
    """
    shops: list[Shop] = []

    def opened(url: str | None = None, **registration: str) -> Shop:
        hook = f"shop-{uuid.uuid4().hex[:8]}"
        icon = base64.b64encode(plain_png()).decode()
        body = {"external_id": hook, "nickname": "柚子旗舰店", "icon": icon, **registration}
        business_id = api.post("/merchants", body).json()["business_id"]
        path = f"/merchants/{business_id}/subscriptions"
        target = {"type": "webhook", "url": url or receiver.hook(hook)}
        subscription = api.post(path, {"target": target}).json()
        receiver.configure(hook, secret=subscription["secret"])
        path = f"{path}/{subscription['subscription_id']}"
        shops.append(Shop(api, receiver, business_id, hook, subscription["secret"], path))
        return shops[-1]

    yield opened
    for shop in shops:
        api.delete(shop.path)


def new_openid() -> str:
    return f"o{uuid.uuid4().hex[:27]}"


def test_public_libraries_accept_what_arrives(simulator: SimulatorClient, open_shop: Open) -> None:
    shop, openid = open_shop(), new_openid()

    simulator.say(openid, shop.business_id, "请问几天发货? 👍")

    (request,) = shop.wait_for(RECEIVED)
    assert Webhook(shop.secret).verify(request["body"], request["headers"])
    event = from_http_event(HTTPMessage(request["headers"], request["body"].encode()))
    assert (event.get_type(), event.get_subject()) == (RECEIVED, openid)
    data: Any = event.get_data()
    assert data["message"] == {"type": "text", "text": "请问几天发货? 👍"}
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(create_secret()).verify(request["body"], request["headers"])


def test_the_log_says_why_a_push_was_refused_and_knows_no_exception(stack: StackInfo) -> None:
    console = Console(
        app_id=stack.app_id, token=stack.push_token, encoding_aes_key=stack.encoding_aes_key
    )
    logs = aws_client(stack, "logs")
    name = stack.outputs["PushFunctionName"]
    function = aws_client(stack, "lambda").get_function_configuration(FunctionName=name)
    group = function["LoggingConfig"]["LogGroup"]
    since = int(time.time() * 1000) - 1

    def lines() -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, startTime=since
        )
        return [event["message"] for page in pages for event in page["events"]]

    def reasons() -> Counter[str]:
        documents = [json.loads(line) for line in lines() if '"push refused"' in line]
        return Counter(document["reason"] for document in documents)

    expected = Counter(str(broken.refusal) for broken in BROKEN_PUSHES)
    for broken in BROKEN_PUSHES:
        body, query = broken.build(console)
        push(stack, Request(body, query))

    wait_until(lambda: reasons() == expected, PATIENCE_SECONDS, "reason in the log for each")
    assert len(BROKEN_PUSHES) >= 25
    written = "\n".join(lines())
    assert not re.search(r'Traceback|"level":"(ERROR|CRITICAL)"|errorType', written)
    assert stack.push_token not in written
    assert stack.encoding_aes_key not in written


def test_a_buyer_is_greeted_once_and_never_while_waiting_for_a_reply(
    simulator: SimulatorClient, api: ApiClient, open_shop: Open
) -> None:
    shop, first, second = open_shop(welcome_message="欢迎光临！🍊"), new_openid(), new_openid()

    def phone(openid: str) -> list[str]:
        return [message["text"] for message in simulator.messages(openid)]

    def reply(openid: str) -> None:
        body = {"openid": openid, "message": {"type": "text", "text": "在的"}}
        api.post(f"/merchants/{shop.business_id}/messages", body).raise_for_status()
        wait_until(lambda: "在的" in phone(openid), PATIENCE_SECONDS, "reply on the phone")

    # Given a buyer who enters, and one who asks
    simulator.enter(first, shop.business_id)
    wait_until(partial(phone, first), PATIENCE_SECONDS, "welcome on the phone")
    simulator.say(second, shop.business_id, "在吗")
    shop.wait_for("wechat.kf.message.received", 1)

    # When both enter again, in another second: within one, WeChat's pushes would be the same
    time.sleep(1)
    simulator.enter(first, shop.business_id)
    simulator.enter(second, shop.business_id)
    shop.wait_for("wechat.kf.session.entered", 3)

    # Then a reply, which a greeting would precede, comes without another one
    reply(first)
    reply(second)
    assert (phone(first), phone(second)) == (["欢迎光临！🍊", "在的"], ["在吗", "在的"])


def test_a_merchant_sees_what_failed_and_recovers_it(
    simulator: SimulatorClient, open_shop: Open
) -> None:
    # Given a subscriber that is out of order
    shop = open_shop()
    shop.receiver.configure(shop.hook, status=500)
    simulator.say(new_openid(), shop.business_id, "在吗")
    shop.wait_for(RECEIVED)

    # Then its owner sees what went wrong
    def attempts() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = shop.api.get(f"{shop.path}/attempts").json()["items"]
        return items

    latest = wait_until(attempts, PATIENCE_SECONDS, "a failed attempt")[0]
    assert (latest["reason"], latest["status"], latest["event_type"]) == (
        "answered 500",
        500,
        RECEIVED,
    )
    health = shop.api.get(shop.path).json()["health"]
    assert health["last_error"]["reason"] == "answered 500"
    assert "在吗" not in json.dumps(health, ensure_ascii=False)

    # And when it is in order again, a recovery is accepted and the event arrives
    shop.receiver.configure(shop.hook, status=204)
    recovery = shop.api.post(f"{shop.path}/recover", {"since": "2026-01-01T00:00:00Z"})
    assert recovery.status_code == 202

    def accepted() -> bool:
        return any(one["answered"] == 204 for one in shop.requests(RECEIVED))

    wait_until(accepted, 2 * PATIENCE_SECONDS, "the event after the recovery")
    assert len({one["body"] for one in shop.requests(RECEIVED)}) == 1


ROUNDS = 9


def test_a_slow_and_a_dead_subscriber_cost_their_neighbour_nothing(
    simulator: SimulatorClient, open_shop: Open
) -> None:
    """Once their circuits have opened. Before, a try at a time may cost five seconds here.

    The emulator handles one batch of a FIFO queue at a time where AWS runs many, so what is
    measured here is the worst case; for the case of AWS see test_isolation.py.
    """
    # Given a subscriber nobody listens for, and one that never answers in time
    healthy, slow = open_shop(), open_shop()
    dead = open_shop(url="http://127.0.0.1:9/")
    alone = _latencies(simulator, healthy, [])
    slow.receiver.configure(slow.hook, delay_seconds=6)
    for neighbour in (slow, dead):
        for _ in range(5):
            simulator.say(new_openid(), neighbour.business_id, "在吗")
    for path in (slow.path, dead.path):
        wait_until(partial(_holds_back, slow.api, path), PATIENCE_SECONDS, "open circuit")

    # When all three have customers
    together = _latencies(simulator, healthy, [slow, dead])

    # Then the healthy one notices nothing
    print(f"\nalone {_told(alone)}; beside a slow and a dead one {_told(together)}")
    assert statistics.median(together) < statistics.median(alone) + 0.5


def _holds_back(api: ApiClient, subscription: str) -> bool:
    return api.get(subscription).json()["health"]["next_attempt_at"] is not None


def _latencies(simulator: SimulatorClient, shop: Shop, others: list[Shop]) -> list[float]:
    """Seconds from a push's answer to the webhook, push by push."""
    before, started = len(shop.requests(RECEIVED)), list[float]()
    for number in range(ROUNDS):
        for other in others:
            simulator.say(new_openid(), other.business_id, "在吗")
        simulator.say(new_openid(), shop.business_id, f"{number}")
        started.append(time.time())
        shop.wait_for(RECEIVED, before + number + 1)
    arrived = [request["at"] for request in shop.requests(RECEIVED)[before:]]
    return [end - start for start, end in zip(started, arrived, strict=True)]


def _told(latencies: list[float]) -> str:
    ordered = sorted(latencies)
    return f"median {statistics.median(ordered):.2f} s, largest {ordered[-1]:.2f} s"


def test_what_waits_for_a_paused_subscription_leaves_the_queue_and_arrives_in_order(
    stack: StackInfo, simulator: SimulatorClient, open_shop: Open
) -> None:
    # Given a paused subscription, and messages of some buyers
    shop, buyers = open_shop(), [new_openid() for _ in range(4)]
    shop.api.request("PATCH", shop.path, {"status": "paused"})
    for number in range(20):
        simulator.say(buyers[number % 4], shop.business_id, f"{number:02}")

    # Then they wait in the backlog, and not in the queue
    def waiting() -> bool:
        return bool(shop.api.get(shop.path).json()["health"]["waiting"] == 20)

    wait_until(waiting, 120, "20 events in the backlog")
    assert shop.requests(RECEIVED) == []

    # And after the resume they arrive, those of a buyer in order
    shop.api.request("PATCH", shop.path, {"status": "active"})
    arrived = [json.loads(one["body"]) for one in shop.wait_for(RECEIVED, 20)]
    for buyer in buyers:
        texts = [one["data"]["message"]["text"] for one in arrived if one["subject"] == buyer]
        assert len(texts) == 5
        assert texts == sorted(texts)
