"""Conversations, transcripts, typing, media, quota."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.messages_app import MessagesApp
from tests.unit.api.http_events import document_of
from wechat_kf.api.media_models import MAX_DOWNLOAD_BYTES
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import TypingResult
from wechat_kf.wechat.errors import api_error
from wechat_kf.wechat.media import MAX_IMAGE_BYTES

PATH = "/merchants/42/conversations"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


@pytest.fixture
def app() -> MessagesApp:
    return MessagesApp()


def upload(app: MessagesApp, image: bytes, **headers: str) -> dict[str, Any]:
    text = base64.b64encode(image).decode()
    return app.call("POST", "/media", raw=text, headers={"content-type": "image/png"} | headers)


# -- conversations


def test_conversations_come_the_last_active_first_with_their_windows(app: MessagesApp) -> None:
    app.conversations.record_message("42", "old", app.clock() - 3 * DAY)
    app.conversations.record_message("42", "recent", app.clock() - HOUR)
    app.conversations.record_entry("42", "entered", app.clock() - 10 * SECOND)
    app.conversations.record_message("43", "other", app.clock())
    items = document_of(app.call("GET", PATH))["items"]
    assert [item["openid"] for item in items] == ["entered", "recent", "old"]
    assert [item["window"]["remaining"] for item in items] == [2, 5, 0]
    assert items[0]["messaged_at"] is None
    assert items[1]["messaged_at"] == items[1]["active_at"] == "2025-12-31T23:00:00.000Z"


def test_conversations_are_paged(app: MessagesApp) -> None:
    for number in range(5):
        app.conversations.record_message("42", f"buyer{number}", app.clock() - number * MINUTE)
    seen: list[str] = []
    cursor = ""
    while True:
        page = document_of(app.call("GET", PATH, query=f"limit=2{cursor}"))
        seen += [item["openid"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [f"buyer{number}" for number in range(5)]
    assert app.call("GET", PATH, query="cursor=nonsense")["statusCode"] == 400
    assert app.call("GET", PATH, query="limit=51")["statusCode"] == 400


def test_one_conversation(app: MessagesApp) -> None:
    app.conversations.record_message("42", "buyer", app.clock() - MINUTE)
    document = document_of(app.call("GET", f"{PATH}/buyer"))
    assert document["window"]["open"] is True
    assert app.call("GET", f"{PATH}/nobody")["statusCode"] == 404


def test_a_transcript_has_both_directions_newest_first(app: MessagesApp) -> None:
    received = Event(
        id="e1",
        type=EventType.MESSAGE_RECEIVED,
        app_id="wx0123456789abcdef",
        business_id="42",
        openid="buyer",
        at_ms=app.clock() - MINUTE,
        data={"openid": "buyer", "message": {"type": "text", "content": "在吗？"}},
    )
    app.messages.keep(received)
    sent = app.call(
        "POST",
        "/merchants/42/messages",
        {"openid": "buyer", "message": {"type": "text", "text": "在的。"}},
    )
    items = document_of(app.call("GET", f"{PATH}/buyer/messages"))["items"]
    assert items == [
        {
            "id": document_of(sent)["message_id"],
            "direction": "sent",
            "at": "2026-01-01T00:00:00.000Z",
            "status": "accepted",
            "message": {"type": "text", "text": "在的。"},
        },
        {
            "id": "e1",
            "direction": "received",
            "at": "2025-12-31T23:59:00.000Z",
            "status": None,
            "message": {"type": "text", "content": "在吗？"},
        },
    ]
    page = document_of(app.call("GET", f"{PATH}/buyer/messages", query="limit=1"))
    assert [item["direction"] for item in page["items"]] == ["sent"]
    rest = app.call("GET", f"{PATH}/buyer/messages", query=f"cursor={page['next_cursor']}")
    assert [item["id"] for item in document_of(rest)["items"]] == ["e1"]


# -- typing


@pytest.mark.parametrize("result", TypingResult)
def test_typing_answers_what_became_of_it(app: MessagesApp, result: TypingResult) -> None:
    app.account.typing_result = result
    answer = app.call("POST", "/merchants/42/typing", {"openid": "buyer"})
    assert (answer["statusCode"], document_of(answer)) == (200, {"result": result})
    assert app.account.typed == [("42", "buyer", True)]


def test_typing_can_be_cancelled(app: MessagesApp) -> None:
    app.call("POST", "/merchants/42/typing", {"openid": "buyer", "command": "cancel"})
    assert app.account.typed == [("42", "buyer", False)]


def test_an_unknown_typing_command_is_refused(app: MessagesApp) -> None:
    body = {"openid": "buyer", "command": "Typing"}
    answer = app.call("POST", "/merchants/42/typing", body)
    assert answer["statusCode"] == 400
    assert document_of(answer)["field"] == "command"


def test_wechats_refusal_is_told_with_its_number(app: MessagesApp) -> None:
    app.account.typing_fault = api_error(45015, "out of time rid: 6a-1b-2c", operations.TYPING)
    answer = app.call("POST", "/merchants/42/typing", {"openid": "buyer"})
    assert answer["statusCode"] == 409
    document = document_of(answer)
    assert (document["code"], document["errcode"], document["rid"]) == (
        "window_closed",
        45015,
        "6a-1b-2c",
    )


# -- media


def test_an_image_is_uploaded_once_for_its_life(app: MessagesApp) -> None:
    first = upload(app, PNG)
    assert first["statusCode"] == 201
    assert document_of(first) == {"media_id": "media-0", "expires_at": "2026-01-04T00:00:00.000Z"}
    app.clock.advance(2 * DAY)
    again = upload(app, PNG)
    assert (again["statusCode"], document_of(again)) == (200, document_of(first))
    app.clock.advance(DAY - HOUR)  # what it is used for may come later: not handed out again
    assert document_of(upload(app, PNG))["media_id"] == "media-1"


def test_the_same_image_is_uploaded_again_when_the_caller_says_so(app: MessagesApp) -> None:
    upload(app, PNG)
    answer = upload(app, PNG, **{"cache-control": "no-cache"})
    assert (answer["statusCode"], document_of(answer)["media_id"]) == (201, "media-1")
    assert document_of(upload(app, PNG))["media_id"] == "media-1"


def test_another_image_is_another_media(app: MessagesApp) -> None:
    upload(app, PNG)
    assert document_of(upload(app, PNG + b"."))["media_id"] == "media-1"


def test_too_large_an_image_is_refused_before_a_call(app: MessagesApp) -> None:
    answer = upload(app, PNG + bytes(MAX_IMAGE_BYTES))
    assert answer["statusCode"] == 413
    assert document_of(answer)["code"] == "media_too_large"
    assert app.account.pictures == {}


def test_a_body_that_is_text_is_refused_clearly(app: MessagesApp) -> None:
    answer = app.call("POST", "/media", "{}")
    assert answer["statusCode"] == 400
    assert document_of(answer)["field"] == "Content-Type"


def test_a_picture_is_handed_through_as_bytes(app: MessagesApp) -> None:
    upload(app, PNG)
    answer = app.call("GET", "/media/media-0")
    assert answer["statusCode"] == 200
    assert answer["isBase64Encoded"] is True
    assert base64.b64decode(answer["body"]) == PNG
    assert answer["headers"]["Content-Type"] == "image/png"


def test_a_picture_the_gateway_cannot_carry_is_a_problem(app: MessagesApp) -> None:
    app.account.pictures["big"] = bytes(MAX_DOWNLOAD_BYTES + 1)
    answer = app.call("GET", "/media/big")
    assert answer["statusCode"] == 413
    assert document_of(answer)["code"] == "media_too_large_to_relay"


def test_the_largest_picture_fits_into_a_lambda_answer(app: MessagesApp) -> None:
    app.account.pictures["big"] = bytes(MAX_DOWNLOAD_BYTES)
    assert len(app.call("GET", "/media/big")["body"]) < 6_000_000


def test_a_strange_media_id_is_refused(app: MessagesApp) -> None:
    assert app.call("GET", "/media/a b")["statusCode"] == 400


# -- quota


def test_quota_tells_what_is_left_and_what_wechat_does_not_tell(app: MessagesApp) -> None:
    items = document_of(app.call("GET", "/quota"))["items"]
    assert items[0]["remaining"] == 480
    assert (items[0]["per_period"], items[0]["period_seconds"]) == (10, 60)
    assert (items[1]["remaining"], items[1]["error"]) == (None, "api_path_not_permitted")
