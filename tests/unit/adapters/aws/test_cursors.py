"""Page cursors: only what this stack gave out leads anywhere; nothing else reaches DynamoDB."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wechat_kf.adapters.aws.dynamo import cursor, cursor_parts
from wechat_kf.app_errors import InvalidRequestError


def made_of(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_cursor_reads_back() -> None:
    assert cursor_parts(cursor("oXyz_1", 1_767_225_600_000), str, int) == [
        "oXyz_1",
        1_767_225_600_000,
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%%%",
        "AAAA",
        made_of([]),
        made_of([""]),
        made_of(["x" * 2000]),
        made_of(["\ud800"]),
        made_of([1]),
        made_of([True]),
        made_of([None]),
        made_of([["x"]]),
        made_of({"x": 1}),
        made_of(["x", "y"]),
        base64.urlsafe_b64encode(b"[" * 5000).decode(),
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        cursor_parts(text, str)
    assert caught.value.members == {"field": "cursor"}
