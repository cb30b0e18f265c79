"""The largest bodies that the API accepts fit into an item of a DynamoDB table (400 KB)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wechat_kf.adapters.aws.json_text import to_text
from wechat_kf.api.broadcast_models import CreateBroadcastRequest
from wechat_kf.api.message_models import MAX_CONTENT_BYTES, SendMessageRequest

ITEM_BYTES = 400_000
OTHERS = 4_096  # ids, instants, digests and the names of the attributes

# What makes the longest text: an emoji is 4 bytes, and 12 when U+FFFF has everything escaped.
LONGEST = "\U0001f44d"


def menu_of(choices: int) -> dict[str, Any]:
    items = [{"id": "1" * 128, "content": LONGEST * 1024} for _ in range(choices)]
    return {"type": "menu", "head": "\uffff", "items": items}


def most_choices() -> int:
    for choices in range(20, 0, -1):
        try:
            SendMessageRequest.model_validate({"openid": "b", "message": menu_of(choices)})
        except ValidationError:
            continue
        return choices
    raise AssertionError


def test_the_largest_broadcast_fits_into_an_item() -> None:
    openids = [f"{number:0>128}" for number in range(1000)]
    content = menu_of(most_choices())
    body = {"openids": openids, "message": content}
    accepted = CreateBroadcastRequest.model_validate(body).to_domain("42", "k" * 255)
    text = to_text(accepted.content)
    assert len(text) > MAX_CONTENT_BYTES
    assert len(text) + sum(len(openid) + 3 for openid in openids) + OTHERS < ITEM_BYTES


def test_a_larger_content_is_refused() -> None:
    with pytest.raises(ValidationError, match=str(MAX_CONTENT_BYTES)):
        SendMessageRequest.model_validate({"openid": "b", "message": menu_of(20)})


@pytest.mark.parametrize(
    "message",
    [
        {"type": "link"} | dict.fromkeys(("title", "description", "url", "thumb_url"), 1024),
        {"type": "mini_program_page"} | dict.fromkeys(("title", "page_path"), 1024),
        {"type": "text", "text": 512},
    ],
    ids=lambda message: message["type"],
)
def test_every_other_content_is_far_below(message: dict[str, Any]) -> None:
    texts = {name: LONGEST * size for name, size in message.items() if isinstance(size, int)}
    given = message | texts
    if given["type"] == "mini_program_page":
        given |= {"thumb_media_id": "m" * 256, "app_id": "wx" + "a" * 16}
    SendMessageRequest.model_validate({"openid": "b", "message": given})
    assert len(to_text(given | {"note": "\uffff"})) < 50_100
