"""What the broadcasts queue may hold."""

import json
from typing import Any

import pytest

from wechat_kf.adapters.aws.broadcast_queue import (
    Expansion,
    Submission,
    UnreadableOrderError,
    broadcast_order,
)
from wechat_kf.api.broadcast_models import read_event
from wechat_kf.app_errors import InvalidRequestError

DETAIL = {"business_id": "42", "openids": ["a"], "message": {"type": "text", "text": "您好"}}


def test_our_own_orders_name_a_broadcast() -> None:
    order = broadcast_order('{"business_id":"42","broadcast_id":"b1"}', "sqs-1")
    assert order == Expansion("42", "b1")


def test_an_event_is_known_by_its_id_each_time_it_comes() -> None:
    event = {"id": "e-1", "detail-type": "SendMessages", "source": "shop", "detail": DETAIL}
    orders = [broadcast_order(json.dumps(event), message) for message in ("sqs-1", "sqs-2")]
    assert orders == [Submission(DETAIL, "event:e-1")] * 2


@pytest.mark.parametrize("lacking", [{}, {"id": ""}, {"id": None}])
def test_an_event_without_an_id_is_known_by_its_queue_message(lacking: dict[str, Any]) -> None:
    body = json.dumps({"detail-type": "SendMessages", "detail": DETAIL} | lacking)
    orders = [broadcast_order(body, message) for message in ("sqs-1", "sqs-2")]
    assert orders == [Submission(DETAIL, "queue:sqs-1"), Submission(DETAIL, "queue:sqs-2")]


def test_a_document_put_on_the_queue_is_known_by_its_queue_message() -> None:
    assert broadcast_order(json.dumps(DETAIL), "sqs-1") == Submission(DETAIL, "queue:sqs-1")


@pytest.mark.parametrize(
    "body",
    [
        "what?",
        "",
        "[]",
        "null",
        "[" * 100_000,
        '"x"',
        {"detail-type": "Other", "detail": DETAIL},
        {"detail-type": "SendMessages", "detail": "text"},
        {"detail-type": "SendMessages"},
    ],
)
def test_anything_else_is_refused(body: Any) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    with pytest.raises(UnreadableOrderError):
        broadcast_order(text, "sqs-1")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"business_id": "042"}, "business_id: string_pattern_mismatch"),
        ({"openids": []}, "openids: too_short"),
        ({"message": {"type": "text"}}, "message.text: missing"),
        ({"message": {"type": "王小姐"}}, "message.type: union_tag_invalid"),
        ({"王小姐 13800000000\x01": 1}, "document: extra_forbidden"),
        ({"message": {"type": "text", "text": "x", "王小姐": 1}}, "message: extra_forbidden"),
    ],
)
def test_a_refusal_names_the_field_and_the_rule_and_not_what_was_written(
    change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_event(DETAIL | change, "queue:sqs-1")
    assert refused.value.detail == reason


def test_a_key_of_the_document_goes_before_that_of_its_message() -> None:
    own = read_event(DETAIL | {"idempotency_key": "shop-1"}, "queue:sqs-1")
    assert own.idempotency_key == "shop-1"
    assert read_event(DETAIL, "queue:sqs-1").idempotency_key == "queue:sqs-1"


def test_a_submission_does_not_show_what_was_written() -> None:
    assert "您好" not in repr(broadcast_order(json.dumps(DETAIL), "sqs-1"))
