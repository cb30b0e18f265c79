"""Events are CloudEvents 1.0, and survive the way there and back."""

import json

import pytest
from cloudevents.v1.http import from_json

from wechat_kf.domain.events import Event, EventType

EVENT = Event(
    id="5f" * 32,
    type=EventType.MESSAGE_RECEIVED,
    app_id="wx0123456789abcdef",
    business_id="42",
    openid="o-buyer_1",
    at_ms=1_482_048_670_123,
    data={"message_id": "22923519871373703", "message": {"type": "text", "content": "你好🍎"}},
)


def test_the_public_library_reads_it() -> None:
    read = from_json(json.dumps(EVENT.to_cloudevent()))
    assert read["id"] == EVENT.id
    assert read["source"] == "/apps/wx0123456789abcdef/merchants/42"
    assert read["subject"] == "o-buyer_1"
    assert read["time"] == "2016-12-18T08:11:10.123Z"
    assert read.data["message"]["content"] == "你好🍎"


def test_there_and_back() -> None:
    assert Event.from_cloudevent(json.loads(json.dumps(EVENT.to_cloudevent()))) == EVENT


@pytest.mark.parametrize("source", ["/elsewhere/wx1/merchants/42", "https://x/y", ""])
def test_a_document_of_another_source_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"source|unpack"):
        Event.from_cloudevent({**EVENT.to_cloudevent(), "source": source})
