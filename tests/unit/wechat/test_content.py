"""Messages as plain data: every type has its message, and faults name the data's own fields."""

from __future__ import annotations

from typing import Any

import pytest

from wechat_kf.wechat.content import message_from
from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.messages import Image, Link, Menu, MenuItem, MiniProgramPage, Text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"type": "text", "text": "您好"}, Text("您好")),
        ({"type": "image", "media_id": "m"}, Image("m")),
        (
            {"type": "link", "title": "t", "description": "d", "url": "u", "thumb_url": "p"},
            Link(title="t", description="d", url="u", thumb_url="p"),
        ),
        (
            {"type": "mini_program_page", "title": "t", "page_path": "p", "thumb_media_id": "m"},
            MiniProgramPage(title="t", page_path="p", thumb_media_id="m"),
        ),
        (
            {"type": "menu", "head": "h", "items": [{"id": "1", "content": "c"}]},
            Menu(items=(MenuItem("1", "c"),), head_content="h"),
        ),
    ],
)
def test_every_content_has_its_message(content: dict[str, Any], expected: Any) -> None:
    assert message_from(content) == expected


@pytest.mark.parametrize("content", [{}, {"type": "voice"}, {"type": None}])
def test_other_contents_are_refused(content: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        message_from(content)


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"type": "text", "text": "x" * 2049}, "text"),
        ({"type": "menu", "head": "\ud800", "items": [{"id": "1", "content": "c"}]}, "head"),
        ({"type": "menu", "tail": "\ud800", "items": [{"id": "1", "content": "c"}]}, "tail"),
        ({"type": "menu", "items": [{"id": "", "content": "c"}]}, "items.0.id"),
        (
            {"type": "menu", "items": [{"id": "1", "content": "c"}, {"id": "2", "content": ""}]},
            "items.1.content",
        ),
        ({"type": "link", "title": "", "description": "d", "url": "u", "thumb_url": "t"}, "title"),
    ],
)
def test_a_fault_names_the_field_as_the_data_does(content: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        message_from(content)
    assert caught.value.field == field
