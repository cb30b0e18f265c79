"""Sending on the deployed stack: refusals, limits of the account, retries, broadcasts, the desk."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.domain.clock import MINUTE, now_ms
from wechat_kf.domain.messages.message import OutboundMessage, accept
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.png import plain_png

pytestmark = pytest.mark.usefixtures("patient_wechat")

SEND = "/cgi-bin/message/custom/business/send"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Shop:
    """A merchant of its own for each test, with a buyer who has just written."""

    stack: StackInfo
    api: ApiClient
    simulator: SimulatorClient
    business_id: str
    buyer: str

    @property
    def path(self) -> str:
        return f"/merchants/{self.business_id}"

    def send(self, text: str, openid: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send a text; the answer's document."""
        body = {"openid": openid or self.buyer, "message": {"type": "text", "text": text}}
        answer = self.api.post(f"{self.path}/messages", {**body, **fields})
        assert answer.status_code == 202, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def settled(self, message: dict[str, Any], attempts: int = 1) -> dict[str, Any]:
        """The message once it is sent, failed or unknown."""

        def done() -> dict[str, Any] | None:
            state: dict[str, Any] = self.api.get(
                f"{self.path}/messages/{message['message_id']}"
            ).json()
            final = state["status"] in ("sent", "failed", "unknown")
            return state if final and state["attempts"] >= attempts else None

        return wait_until(done, PATIENCE_SECONDS, "final state")

    def fault(self, **order: Any) -> None:
        scope = {"match": SEND, "business_id": self.business_id}
        self.simulator.call("POST", "/_sim/faults", {**scope, **order})

    def phone(self, openid: str | None = None) -> list[str]:
        """What the buyer got from the shop."""
        shown = self.simulator.messages(openid or self.buyer)
        return [one["text"] for one in shown if one["sender"] != "buyer"]


@pytest.fixture
def shop(stack: StackInfo, api: ApiClient, simulator: SimulatorClient) -> Iterator[Shop]:
    name = uuid.uuid4().hex[:12]
    merchant = {"account_name": f"desk_{name}", "nickname": "苹果旗舰店"}
    business_id = str(simulator.call("POST", "/_sim/merchants", merchant)["business_id"])
    api.post("/merchants/sync").raise_for_status()
    opened = Shop(stack, api, simulator, business_id, f"o-{name}")
    simulator.say(opened.buyer, business_id, "在吗")
    api.wait_for_conversation(business_id, opened.buyer)
    yield opened
    simulator.call("DELETE", "/_sim/faults")


def test_a_quiet_send_costs_one_call_and_no_token(shop: Shop) -> None:
    shop.settled(shop.send("warm"))  # a token may be fetched here
    before = shop.simulator.call("GET", "/_sim/counters")["calls"]
    for number in range(4):
        assert shop.settled(shop.send(f"{number}"))["status"] == "sent"
    after = shop.simulator.call("GET", "/_sim/counters")["calls"]
    assert after[SEND] - before.get(SEND, 0) == 4
    assert after["/cgi-bin/stable_token"] == before["/cgi-bin/stable_token"]
    assert shop.phone() == ["warm", "0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("errcode", "code"),
    [
        (45015, "window_closed"),
        (45047, "allowance_used_up"),
        (48002, "messages_refused"),
        (43019, "customer_blacklisted"),
        (70000, "minor_protected"),
        (48001, "capability_not_enabled"),
    ],
)
def test_a_refusal_fails_with_its_code(shop: Shop, errcode: int, code: str) -> None:
    shop.fault(kind=f"errcode:{errcode}", times=1)
    state = shop.settled(shop.send("您好"))
    assert state["status"] == "failed"
    assert (state["error"]["code"], state["error"]["errcode"]) == (code, errcode)
    assert state["error"]["rid"]
    assert shop.phone() == []


def test_a_refused_message_does_not_hold_up_the_next(shop: Shop) -> None:
    shop.fault(kind="errcode:45015", times=1)
    first, second = shop.send("1"), shop.send("2")
    assert shop.settled(first)["status"] == "failed"
    assert shop.settled(second)["status"] == "sent"


def test_busy_keeps_the_conversations_order_and_holds_up_nobody_else(shop: Shop) -> None:
    other = f"{shop.buyer}-other"
    shop.simulator.say(other, shop.business_id, "在吗")
    shop.api.wait_for_conversation(shop.business_id, other)
    shop.fault(kind="busy", openid=shop.buyer)
    waiting = [shop.send(f"{number}") for number in range(3)]
    quick = shop.settled(shop.send("quick", other))
    shop.simulator.call("DELETE", "/_sim/faults")
    for message in waiting:
        slow = shop.settled(message)
        assert slow["status"] == "sent"
        assert slow["settled_at"] > quick["settled_at"]
    assert shop.phone() == ["0", "1", "2"]


@pytest.mark.parametrize(("kind", "shown"), [("cut_before", []), ("cut_after", ["您好"])])
def test_a_cut_connection_is_unknown_until_the_caller_decides(
    shop: Shop, kind: str, shown: list[str]
) -> None:
    shop.fault(kind=kind, times=1)
    message = shop.send("您好")
    assert shop.settled(message)["status"] == "unknown"
    assert shop.phone() == shown
    again = shop.api.post(f"{shop.path}/messages/{message['message_id']}/retry")
    assert again.status_code == 202
    state = shop.settled(message, attempts=2)
    assert (state["status"], state["attempts"]) == ("sent", 2)
    assert shop.phone() == [*shown, "您好"]
    late = shop.api.post(f"{shop.path}/messages/{message['message_id']}/retry")
    assert late.status_code == 409


def test_at_least_once_prefers_a_duplicate(shop: Shop) -> None:
    shop.fault(kind="cut_after", times=1)
    state = shop.settled(shop.send("您好", delivery="at_least_once"))
    assert (state["status"], state["attempts"]) == ("sent", 2)
    assert shop.phone() == ["您好", "您好"]


def test_a_killed_token_costs_the_message_nothing(shop: Shop) -> None:
    shop.simulator.call("POST", "/_sim/tokens/kill")
    state = shop.settled(shop.send("您好"))
    assert (state["status"], state["attempts"]) == ("sent", 1)


def test_the_same_key_sends_once(shop: Shop) -> None:
    body = {"openid": shop.buyer, "message": {"type": "text", "text": "您好"}}
    headers = {"Idempotency-Key": f"order-{shop.business_id}"}
    answers = [shop.api.post(f"{shop.path}/messages", body, headers=headers) for _ in range(3)]
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    shop.settled(answers[0].json())
    assert shop.phone() == ["您好"]
    other = {**body, "message": {"type": "text", "text": "再见"}}
    refused = shop.api.post(f"{shop.path}/messages", other, headers=headers)
    assert refused.status_code == 422


# -- broadcasts: three ways in


def broadcast_body(shop: Shop, *openids: str) -> dict[str, Any]:
    return {"openids": list(openids), "message": {"type": "text", "text": "您的订单已发货。"}}


def greeted(shop: Shop, count: int) -> list[str]:
    buyers = [f"{shop.buyer}-{number}" for number in range(count)]
    for openid in buyers:
        shop.simulator.say(openid, shop.business_id, "在吗")
    for openid in buyers:
        shop.api.wait_for_conversation(shop.business_id, openid)
    return buyers


def test_a_broadcast_tells_what_became_of_each_recipient(shop: Shop) -> None:
    buyers = greeted(shop, 3)
    body = broadcast_body(shop, *buyers, buyers[0], "o-stranger")
    answer = shop.api.post(f"{shop.path}/broadcasts", body)
    assert answer.status_code == 202
    assert (answer.json()["recipients"], answer.json()["duplicates"]) == (4, 1)
    location = answer.headers["Location"]

    def done() -> bool:
        progress = shop.api.get(location).json()["progress"]
        return bool(progress["sent"] == 3 and progress["failed"] == 1)

    wait_until(done, PATIENCE_SECONDS, "finished broadcast")
    items = shop.api.get(f"{location}/recipients").json()["items"]
    assert [item["openid"] for item in items] == [*buyers, "o-stranger"]
    assert [item["status"] for item in items] == ["sent", "sent", "sent", "failed"]
    assert items[3]["error"]["code"] == "no_conversation"
    assert [shop.phone(openid) for openid in buyers] == [["您的订单已发货。"]] * 3


def test_an_event_on_the_bus_sends(shop: Shop) -> None:
    (buyer,) = greeted(shop, 1)
    entry = {
        "EventBusName": shop.stack.outputs["EventBusName"],
        "Source": "com.example.orders",
        "DetailType": "SendMessages",
        "Detail": json.dumps({"business_id": shop.business_id, **broadcast_body(shop, buyer)}),
    }
    assert aws_client(shop.stack, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    wait_until(lambda: shop.phone(buyer), PATIENCE_SECONDS, "message sent by event")
    assert shop.phone(buyer) == ["您的订单已发货。"]


def test_a_document_on_the_broadcasts_queue_sends(shop: Shop) -> None:
    (buyer,) = greeted(shop, 1)
    aws_client(shop.stack, "sqs").send_message(
        QueueUrl=shop.stack.outputs["BroadcastsQueueUrl"],
        MessageBody=json.dumps({"business_id": shop.business_id, **broadcast_body(shop, buyer)}),
    )
    wait_until(lambda: shop.phone(buyer), PATIENCE_SECONDS, "message sent by queue")


def test_what_can_never_be_sent_is_dead_lettered_with_the_reason(shop: Shop) -> None:
    sqs = aws_client(shop.stack, "sqs")
    body = json.dumps({"business_id": shop.business_id, "openids": [], "message": {}})
    sqs.send_message(QueueUrl=shop.stack.outputs["BroadcastsQueueUrl"], MessageBody=body)

    dead_letters = shop.stack.outputs["BroadcastsDeadLetterQueueUrl"]

    def dead_letter() -> dict[str, Any] | None:
        letters = sqs.receive_message(
            QueueUrl=dead_letters, MessageAttributeNames=["All"], MaxNumberOfMessages=10
        ).get("Messages", [])
        return next((letter for letter in letters if letter["Body"] == body), None)

    letter = wait_until(dead_letter, PATIENCE_SECONDS, "dead letter")
    sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=letter["ReceiptHandle"])
    reason = letter["MessageAttributes"]["reason"]["StringValue"]
    assert reason.startswith("invalid_request: openids")


# -- the desk


def test_typing_is_shown_once(shop: Shop) -> None:
    def typing(openid: str) -> Any:
        return shop.api.post(f"{shop.path}/typing", {"openid": openid}).json()

    assert [typing(shop.buyer), typing(shop.buyer)] == [{"result": "shown"}, {"result": "already"}]


def test_an_image_is_uploaded_once_sent_and_fetched_again(shop: Shop) -> None:
    image = plain_png(side=8) + uuid.uuid4().bytes
    headers = {"Content-Type": "image/png"}
    first = shop.api.request("POST", "/media", body=image, headers=headers)
    again = shop.api.request("POST", "/media", body=image, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    media_id = first.json()["media_id"]
    fetched = shop.api.get(f"/media/{media_id}")
    assert (fetched.content, fetched.headers["Content-Type"]) == (image, "image/png")
    body = {"openid": shop.buyer, "message": {"type": "image", "media_id": media_id}}
    answer = shop.api.post(f"{shop.path}/messages", body)
    assert shop.settled(answer.json())["status"] == "sent"


def test_an_image_wechat_would_not_take_is_refused(shop: Shop) -> None:
    headers = {"Content-Type": "image/png"}
    large = plain_png(side=8) + bytes(2 * 1024 * 1024)
    answers = [
        shop.api.request("POST", "/media", body=body, headers=headers)
        for body in (large, b"not an image")
    ]
    assert [answer.status_code for answer in answers] == [413, 400]


def test_the_desk_shows_window_and_transcript(shop: Shop) -> None:
    shop.settled(shop.send("在的。"))

    def heard() -> list[dict[str, Any]]:
        path = f"{shop.path}/conversations/{shop.buyer}/messages"
        items: list[dict[str, Any]] = shop.api.get(path).json()["items"]
        return items if len(items) == 2 else []

    items = wait_until(heard, PATIENCE_SECONDS, "transcript")
    assert [item["message"]["text"] for item in items] == ["在的。", "在吗"]
    conversation = shop.api.get(f"{shop.path}/conversations/{shop.buyer}").json()
    assert (conversation["window"]["open"], conversation["window"]["remaining"]) == (True, 4)
    listed = shop.api.get(f"{shop.path}/conversations").json()["items"]
    assert [one["openid"] for one in listed] == [shop.buyer]


def test_quota_is_what_wechat_says(shop: Shop) -> None:
    items = {item["api"]: item for item in shop.api.get("/quota").json()["items"]}
    assert items["send"]["remaining"] == items["send"]["daily_limit"] - items["send"]["used"]


# -- the sweeper


def swept(shop: Shop, **event: Any) -> dict[str, Any]:
    """What an invocation of the sweeper answers."""
    answer = aws_client(shop.stack, "lambda").invoke(
        FunctionName=shop.stack.outputs["SweeperFunctionName"], Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer, answer["Payload"].read()
    document: dict[str, Any] = json.loads(answer["Payload"].read())
    return document


def left_by_a_crash(
    shop: Shop, age_ms: int, **request: Any
) -> tuple[MessagesTable, dict[str, Any]]:
    """A message that was stored `age_ms` ago, and nothing more."""
    table = shop.stack.outputs["MessagesTableName"]
    client = aws_client(shop.stack, "dynamodb")
    store = MessagesTable(client, table, 30, lambda: now_ms() - age_ms)
    content = {"type": "text", "text": "您好"}
    draft = OutboundMessage(shop.business_id, shop.buyer, content, **request)
    message = store.add(accept(draft, now=now_ms() - age_ms, max_age_ms=15 * MINUTE))
    return store, {"message_id": message.message_id}


def test_the_sweeper_queues_what_was_accepted_and_forgotten(shop: Shop) -> None:
    _, message = left_by_a_crash(shop, age_ms=2 * MINUTE)
    swept(shop)
    assert shop.settled(message)["status"] == "sent"
    assert shop.phone() == ["您好"]


def test_the_sweeper_marks_an_abandoned_attempt_as_unknown(shop: Shop) -> None:
    store, message = left_by_a_crash(shop, age_ms=2 * MINUTE)
    now = now_ms()
    store.claim(shop.business_id, message["message_id"], now=now, until=now - 1)
    swept(shop)
    state = shop.settled(message)
    assert (state["status"], state["error"]["code"]) == ("unknown", "attempt_abandoned")
    assert shop.phone() == []


def test_the_sweeper_reconciles_the_merchants_once_a_day(shop: Shop) -> None:
    report = swept(shop, task="sync_merchants")
    assert report["complete"] is True
    known = shop.api.get(shop.path)
    assert (known.status_code, known.json()["nickname"]) == (200, "苹果旗舰店")
