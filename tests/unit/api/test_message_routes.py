"""POST and GET of messages and broadcasts: what callers may say, and what they hear."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes import make_message_id
from tests.messages_app import MessagesApp
from tests.unit.api.http_events import document_of
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStatus
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    Outcome,
    Sent,
    Status,
    Unknown,
    settle,
)

TEXT = {"type": "text", "text": "您好，您的订单已发货。"}
BODY = {"openid": "buyer", "message": TEXT}
PATH = "/merchants/42/messages"
CLOSED = NotSent(Failure("window_closed", "closed", 45015, "6a-1b-2c"))


@pytest.fixture
def app() -> MessagesApp:
    return MessagesApp()


def send(app: MessagesApp, body: Any = BODY, key: str | None = None) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    return app.call("POST", PATH, body, headers=headers)


def attempted(app: MessagesApp, message_id: str, outcome: Outcome) -> None:
    """What the worker would make of it."""
    now = app.clock()
    claim = app.messages.claim("42", message_id, now=now, until=now + SECOND)
    assert claim.message is not None
    app.messages.finish(settle(claim.message, outcome, now=now))


# -- sending


def test_an_accepted_message_is_answered_with_where_to_look(app: MessagesApp) -> None:
    app.conversations.record_message("42", "buyer", app.clock() - MINUTE)
    answer = send(app)
    assert answer["statusCode"] == 202
    document = document_of(answer)
    assert answer["headers"]["Location"] == f"{PATH}/{document['message_id']}"
    assert (document["status"], document["attempts"], document["error"]) == ("accepted", 0, None)
    assert document["window"] == {
        "open": True,
        "until": "2026-01-02T23:59:00.000Z",
        "remaining": 5,
    }
    assert document_of(app.call("GET", answer["headers"]["Location"]))["status"] == "accepted"


def test_the_window_counts_what_was_sent(app: MessagesApp) -> None:
    app.conversations.record_message("42", "buyer", app.clock() - MINUTE)
    attempted(app, document_of(send(app))["message_id"], Sent())
    assert document_of(send(app))["window"]["remaining"] == 4


def test_a_buyer_who_never_wrote_has_a_closed_window_and_is_tried_all_the_same(
    app: MessagesApp,
) -> None:
    document = document_of(send(app))
    assert document["window"] == {"open": False, "until": None, "remaining": 0}
    assert document["status"] == "accepted"


def test_what_is_accepted_stays_accepted_when_its_window_cannot_be_read(
    app: MessagesApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise UnavailableError("DynamoDB does not answer")

    app.conversations.record_message("42", "buyer", app.clock())
    monkeypatch.setattr(app.messages, "sent_at", unavailable)
    answer = send(app)
    assert (answer["statusCode"], document_of(answer)["window"]) == (202, None)
    assert len(app.outbound.messages) == 1


@pytest.mark.parametrize("spelling", ["042", "00", "-1", "1" * 21])
def test_a_merchant_has_one_name(app: MessagesApp, spelling: str) -> None:
    answer = app.call("POST", f"/merchants/{spelling}/messages", BODY)
    assert (answer["statusCode"], document_of(answer)["field"]) == (400, "business_id")
    assert not app.outbound.messages


def test_the_same_key_and_body_answer_with_the_same_message(app: MessagesApp) -> None:
    first, second = send(app, key="k1"), send(app, key="k1")
    assert first == second
    assert len(app.outbound.messages) == 1


def test_the_same_key_with_another_body_is_422(app: MessagesApp) -> None:
    send(app, key="k1")
    answer = send(app, {**BODY, "openid": "somebody"}, key="k1")
    assert answer["statusCode"] == 422
    assert document_of(answer)["code"] == "idempotency_key_reused"


MINI_PROGRAM_PAGE = {
    "type": "mini_program_page",
    "title": "苹果",
    "page_path": "pages/item/item?id=1",
    "thumb_media_id": "m",
}
LINK = {
    "type": "link",
    "title": "t",
    "description": "d",
    "url": "https://x",
    "thumb_url": "https://y",
}
PAGE = {
    "type": "mini_program_page",
    "title": "t",
    "page_path": "pages/item/item?id=1",
    "thumb_media_id": "m",
}
TWENTY_LONG_CHOICES = [{"id": str(number), "content": "满" * 1024} for number in range(20)]


def menu_of(*items: dict[str, str]) -> dict[str, Any]:
    return {"type": "menu", "head": "满" * 1024, "items": list(items), "tail": "满" * 1024}


MENU = {"type": "menu", "head": "满意吗？", "items": [{"id": "1", "content": "满意"}], "tail": ""}


@pytest.mark.parametrize(
    "message", [TEXT, {"type": "image", "media_id": "m"}, LINK, MINI_PROGRAM_PAGE]
)
def test_every_type_is_accepted_and_stored_as_given(
    app: MessagesApp, message: dict[str, str]
) -> None:
    answer = send(app, {"openid": "buyer", "message": message})
    assert answer["statusCode"] == 202
    stored = app.messages.get("42", document_of(answer)["message_id"])
    assert stored is not None
    assert stored.content == message


def test_ai_generated_is_stored(app: MessagesApp) -> None:
    answer = send(app, {"openid": "buyer", "message": {**TEXT, "ai_generated": True}})
    stored = app.messages.get("42", document_of(answer)["message_id"])
    assert stored is not None
    assert stored.content["ai_generated"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "openid"),
        ({"openid": "buyer"}, "message"),
        ({"openid": "bu yer", "message": TEXT}, "openid"),
        ({"openid": "", "message": TEXT}, "openid"),
        ({**BODY, "message": {"type": "voice", "media_id": "m"}}, "message.type"),
        ({**BODY, "message": {}}, "message.type"),
        ({**BODY, "message": {"text": "您好"}}, "message.type"),
        ({**BODY, "message": "您好"}, "message"),
        ({**BODY, "message": {"type": "text"}}, "message.text"),
        ({**BODY, "message": {"type": "text", "text": ""}}, "message.text"),
        ({**BODY, "message": {"type": "text", "text": "苹" * 683}}, "message.text"),
        ({**BODY, "message": {"type": "text", "text": "a" * 2049}}, "message.text"),
        ({**BODY, "message": {**TEXT, "colour": "red"}}, "message.colour"),
        ({**BODY, "message": {"type": "image", "media_id": ""}}, "message.media_id"),
        ({**BODY, "message": {**LINK, "url": ""}}, "message.url"),
        ({**BODY, "message": {**LINK, "title": "a\x01"}}, "message.title"),
        ({**BODY, "message": {**TEXT, "text": "\ud800"}}, "message.text"),
        ({**BODY, "message": {**PAGE, "app_id": "wx\x01"}}, "message.app_id"),
        ({**BODY, "message": {**PAGE, "app_id": "x" * 450_000}}, "message.app_id"),
        ({**BODY, "message": {"type": "menu", "items": []}}, "message.items"),
        ({**BODY, "message": menu_of({"id": "1"})}, "message.items.0.content"),
        ({**BODY, "message": menu_of({"id": "\x01", "content": "c"})}, "message.items.0.id"),
        ({**BODY, "message": menu_of(*TWENTY_LONG_CHOICES)}, "message"),
        ({**BODY, "delivery": "exactly_once"}, "delivery"),
        ({**BODY, "priority": 1}, "priority"),
    ],
)
def test_each_broken_rule_is_named(app: MessagesApp, body: Any, field: str) -> None:
    answer = send(app, body)
    assert answer["statusCode"] == 400
    document = document_of(answer)
    assert (document["code"], document["field"]) == ("invalid_request", field)
    assert app.outbound.messages == []


def test_too_long_a_text_is_told_in_bytes(app: MessagesApp) -> None:
    answer = send(app, {**BODY, "message": {"type": "text", "text": "苹" * 683}})
    assert "2048 bytes" in document_of(answer)["detail"]
    assert "2049" in document_of(answer)["detail"]
    fits = send(app, {**BODY, "message": {"type": "text", "text": "苹" * 682}})
    assert fits["statusCode"] == 202


@pytest.mark.parametrize("path", ["/merchants/x/messages", "/merchants/42a/messages"])
def test_a_business_id_is_a_number(app: MessagesApp, path: str) -> None:
    assert app.call("POST", path, BODY)["statusCode"] == 400


@pytest.mark.parametrize("key", ["k" * 256])
def test_a_key_has_a_limit(app: MessagesApp, key: str) -> None:
    assert send(app, key=key)["statusCode"] == 400


@pytest.mark.parametrize("body", ["{", "null", "[]", '"x"', "", "1e999"])
def test_what_is_no_json_object_is_400(app: MessagesApp, body: str) -> None:
    assert send(app, body)["statusCode"] == 400


def test_menus_need_the_operators_consent(app: MessagesApp) -> None:
    body = {"openid": "buyer", "message": MENU}
    refused = send(app, body)
    assert refused["statusCode"] == 400
    assert "AllowMenuMessages" in document_of(refused)["detail"]
    assert send(MessagesApp(allow_menus=True), body)["statusCode"] == 202


@pytest.mark.parametrize(
    ("business_id", "status", "code"),
    [("7", 409, "merchant_inactive"), ("99", 404, "merchant_not_found")],
)
def test_a_deactivated_or_unknown_merchant_may_not_send(
    app: MessagesApp, business_id: str, status: int, code: str
) -> None:
    app.merchants.add(Merchant("7", "shop_0007", "苹果", status=MerchantStatus.INACTIVE))
    for kind, body in (("messages", BODY), ("broadcasts", {"openids": ["b"], "message": TEXT})):
        answer = app.call("POST", f"/merchants/{business_id}/{kind}", body)
        assert (answer["statusCode"], document_of(answer)["code"]) == (status, code)
    assert not app.outbound.messages
    assert not app.broadcast_queue.broadcasts


def test_when_the_queue_is_down_a_stored_message_is_accepted(app: MessagesApp) -> None:
    app.outbound.down = True
    answer = send(app)
    assert answer["statusCode"] == 202
    assert document_of(app.call("GET", answer["headers"]["Location"]))["status"] == "accepted"


def test_when_nothing_can_be_stored_the_request_may_be_repeated(
    app: MessagesApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise UnavailableError("DynamoDB does not answer")

    with monkeypatch.context() as fault:
        fault.setattr(app.messages, "add", unavailable)
        answer = send(app)
        assert (answer["statusCode"], document_of(answer)["code"]) == (
            503,
            "temporarily_unavailable",
        )
        fault.setattr(app.messages, "get", unavailable)
        answer = send(app)
        document = document_of(answer)
        assert (answer["statusCode"], document["code"]) == (503, "acceptance_uncertain")
        assert "GET" in document["advice"]
    path = f"{PATH}/{document['message_id']}"
    assert app.call("GET", path)["statusCode"] == 404  # nothing was stored: repeat


def test_a_buyer_without_a_conversation_gets_nothing() -> None:
    app = MessagesApp(require_conversation=True)
    answer = send(app)
    assert (answer["statusCode"], document_of(answer)["code"]) == (409, "no_conversation")
    app.conversations.record_message("43", "buyer", app.clock())
    assert send(app)["statusCode"] == 409
    app.conversations.record_message("42", "buyer", app.clock())
    assert send(app)["statusCode"] == 202


def test_a_conversation_with_twenty_unsettled_messages_is_full(app: MessagesApp) -> None:
    first = send(app, key="k0")
    for _ in range(19):
        assert send(app)["statusCode"] == 202
    answer = send(app)
    assert (answer["statusCode"], document_of(answer)["code"]) == (429, "conversation_full")
    assert send(app, {**BODY, "openid": "somebody"})["statusCode"] == 202
    assert send(app, key="k0") == first  # accepted before: no refusal now
    attempted(app, document_of(first)["message_id"], CLOSED)
    assert send(app)["statusCode"] == 202
    retried = app.call("POST", f"{first['headers']['Location']}/retry")
    assert (retried["statusCode"], document_of(retried)["code"]) == (429, "conversation_full")


# -- state and retry


def test_a_failure_is_told_with_wechats_code_and_rid(app: MessagesApp) -> None:
    message_id = document_of(send(app))["message_id"]
    attempted(app, message_id, CLOSED)
    document = document_of(app.call("GET", f"{PATH}/{message_id}"))
    assert document["status"] == "failed"
    assert document["settled_at"] is not None
    assert document["error"] == {
        "code": "window_closed",
        "detail": "closed",
        "errcode": 45015,
        "rid": "6a-1b-2c",
    }


def test_a_failure_without_a_number_of_wechats_shows_none(app: MessagesApp) -> None:
    message_id = document_of(send(app))["message_id"]
    attempted(app, message_id, NotSent(Failure("expired", "gave up by age")))
    document = document_of(app.call("GET", f"{PATH}/{message_id}"))
    assert document["error"] == {"code": "expired", "detail": "gave up by age"}


def test_another_merchants_message_is_not_found(app: MessagesApp) -> None:
    message_id = document_of(send(app))["message_id"]
    answer = app.call("GET", f"/merchants/43/messages/{message_id}")
    assert answer["statusCode"] == 404
    assert app.call("GET", f"{PATH}/nonsense")["statusCode"] == 400


def test_a_failed_message_is_retried_with_its_attempts_kept(app: MessagesApp) -> None:
    message_id = document_of(send(app))["message_id"]
    attempted(app, message_id, CLOSED)
    answer = app.call("POST", f"{PATH}/{message_id}/retry")
    assert answer["statusCode"] == 202
    document = document_of(answer)
    assert (document["status"], document["attempts"]) == ("accepted", 1)
    assert len(app.outbound.messages) == 2


def test_a_message_on_its_way_is_not_retried(app: MessagesApp) -> None:
    message_id = document_of(send(app))["message_id"]
    answer = app.call("POST", f"{PATH}/{message_id}/retry")
    assert answer["statusCode"] == 409
    assert document_of(answer)["message_status"] == "accepted"
    assert app.call("POST", f"{PATH}/{make_message_id('nobody')}/retry")["statusCode"] == 404


# -- broadcasts


def broadcast(app: MessagesApp, openids: list[str], key: str | None = None) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"openids": openids, "message": TEXT}
    return app.call("POST", "/merchants/42/broadcasts", body, headers=headers)


def test_a_broadcast_is_stored_queued_and_counted(app: MessagesApp) -> None:
    answer = broadcast(app, ["a", "b", "a", "c", "b"])
    assert answer["statusCode"] == 202
    document = document_of(answer)
    assert (document["recipients"], document["duplicates"]) == (3, 2)
    assert app.broadcast_queue.broadcasts == [("42", document["broadcast_id"])]
    progress = document_of(app.call("GET", answer["headers"]["Location"]))["progress"]
    assert (progress["pending"], sum(progress.values())) == (3, 3)


def test_progress_is_counted_from_the_messages(app: MessagesApp) -> None:
    answer = broadcast(app, [f"buyer{n}" for n in range(250)])
    location = answer["headers"]["Location"]
    stored = app.broadcasts.get("42", document_of(answer)["broadcast_id"])
    assert stored is not None
    app.expander.expand(stored)
    recipients = document_of(app.call("GET", f"{location}/recipients", query="limit=3"))
    outcomes: list[Outcome] = [Sent(), CLOSED, CUT]
    for item, outcome in zip(recipients["items"], outcomes, strict=True):
        attempted(app, item["message_id"], outcome)
    progress = document_of(app.call("GET", location))["progress"]
    assert progress == {
        "pending": 0,
        "accepted": 247,
        "sending": 0,
        "sent": 1,
        "failed": 1,
        "unknown": 1,
    }


CUT = Unknown(Failure("wechat_did_not_answer", "no answer"))


def test_what_became_of_each_recipient_is_told_page_by_page(app: MessagesApp) -> None:
    answer = broadcast(app, ["a", "b", "c", "d", "e"])
    stored = app.broadcasts.get("42", document_of(answer)["broadcast_id"])
    assert stored is not None
    app.expander.expand(stored)
    path = f"{answer['headers']['Location']}/recipients"
    first = document_of(app.call("GET", path, query="limit=2"))
    attempted(app, first["items"][0]["message_id"], CLOSED)
    seen, cursor = [], "0"
    while cursor:
        page = document_of(app.call("GET", path, query=f"limit=2&cursor={cursor}"))
        seen += page["items"]
        cursor = page["next_cursor"]
    assert [item["openid"] for item in seen] == ["a", "b", "c", "d", "e"]
    assert [item["status"] for item in seen] == ["failed", *["accepted"] * 4]
    assert seen[0]["error"]["code"] == "window_closed"
    assert app.call("GET", path, query="cursor=x")["statusCode"] == 400


def test_a_broadcast_repeated_with_its_key_is_the_same_one(app: MessagesApp) -> None:
    first = broadcast(app, ["a", "b"], key="k")
    assert broadcast(app, ["a", "b"], key="k") == first
    assert broadcast(app, ["a", "c"], key="k")["statusCode"] == 422


@pytest.mark.parametrize(
    "openids", [[], [f"buyer{n}" for n in range(1001)], ["not an openid"], ["a"] * 2001]
)
def test_a_broadcast_has_1_to_1000_valid_recipients(app: MessagesApp, openids: list[str]) -> None:
    answer = broadcast(app, openids)
    assert answer["statusCode"] == 400
    assert document_of(answer)["code"] == "invalid_request"
    assert app.broadcast_queue.broadcasts == []


def test_a_broadcast_that_does_not_exist_is_not_found(app: MessagesApp) -> None:
    assert app.call("GET", f"/merchants/42/broadcasts/{'0' * 32}")["statusCode"] == 404


def test_expanding_twice_makes_no_second_message(app: MessagesApp) -> None:
    stored = app.broadcasts.add(
        app.broadcasts.get("42", document_of(broadcast(app, ["a", "b"]))["broadcast_id"])  # type: ignore[arg-type]
    )
    app.expander.expand(stored)
    app.expander.expand(stored)
    assert len(app.outbound.messages) == 2


def test_an_expansion_cut_short_is_finished_by_the_next(app: MessagesApp) -> None:
    answer = broadcast(app, ["a", "b", "c"])
    stored = app.broadcasts.get("42", document_of(answer)["broadcast_id"])
    assert stored is not None
    app.outbound.down = True
    with pytest.raises(Exception, match="queue"):
        app.expander.expand(stored)
    app.outbound.down = False
    app.expander.expand(stored)
    assert len(app.outbound.messages) == 3
    progress = document_of(app.call("GET", answer["headers"]["Location"]))["progress"]
    assert progress["accepted"] == 3


def test_a_message_of_a_broadcast_names_it(app: MessagesApp) -> None:
    answer = broadcast(app, ["a"])
    broadcast_id = document_of(answer)["broadcast_id"]
    stored = app.broadcasts.get("42", broadcast_id)
    assert stored is not None
    app.expander.expand(stored)
    (_, message_id), *_ = app.outbound.messages
    document = document_of(app.call("GET", f"{PATH}/{message_id}"))
    assert (document["broadcast_id"], document["status"]) == (broadcast_id, Status.ACCEPTED)
