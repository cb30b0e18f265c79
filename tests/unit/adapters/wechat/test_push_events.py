"""From a push to an event: what subscribers read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pushes import MESSAGES, Console
from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.domain.events import EventType

CONSOLE = Console()
WHO = {"business_id": "0", "openid": MESSAGES["text"]["FromUserName"]}
MESSAGE_ID = {"message_id": "22923519871373703"}


def event(kind: str, **fields: Any) -> Any:
    request = CONSOLE.push({**MESSAGES[kind], **fields})
    return to_event(CONSOLE.opener().open(*request), "wx1")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", {"type": "text", "text": MESSAGES["text"]["Content"]}),
        (
            "image",
            {"type": "image", "media_id": "media_id", "picture_url": "https://p.test/1"},
        ),
        (
            "miniprogrampage",
            {
                "type": "mini_program_page",
                "title": "title",
                "app_id": "appid",
                "page_path": "path",
                "thumb_url": "",
                "thumb_media_id": "",
            },
        ),
    ],
)
def test_messages_are_spelled_as_in_the_send_api(kind: str, message: dict[str, str]) -> None:
    found = event(kind)
    assert found.type == EventType.MESSAGE_RECEIVED
    assert found.data == {**WHO, **MESSAGE_ID, "message": message}


def test_an_entry_says_where_from() -> None:
    found = event("user_enter_tempsession", BusinessId=42)
    assert found.type == EventType.SESSION_ENTERED
    assert found.data == {**WHO, "business_id": "42", "session_from": "sessionFrom"}


def test_what_is_unknown_keeps_its_fields() -> None:
    found = event("brand_new")
    assert found.type == EventType.PUSH_UNKNOWN
    fields = {"Deep": {"Er": {"Than": "before"}}}
    assert found.data["push"] == {"kind": "brand_new", "event": None, "fields": fields}


def test_new_fields_of_a_known_type_are_kept_aside() -> None:
    assert event("text", New="1").data["message"]["extra"] == {"New": "1"}


def test_a_repeat_is_the_same_event_and_another_buyers_is_not() -> None:
    assert event("text").id == event("text").id
    assert event("text").id != event("text", FromUserName="o2").id
