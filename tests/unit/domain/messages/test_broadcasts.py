"""A broadcast: what is accepted, and what its progress is."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.fakes import FakeClock, InMemoryBroadcasts, InMemoryMessages
from wechat_kf.app_errors import IdempotencyKeyReusedError, InvalidRequestError, NotFoundError
from wechat_kf.domain.messages.broadcasts import (
    Broadcast,
    BroadcastRequest,
    Broadcasts,
    Recipient,
)
from wechat_kf.domain.messages.message import Guarantee
from wechat_kf.domain.paging import Page

TEXT = {"type": "text", "text": "您的订单已发货。"}


@pytest.fixture
def broadcasts() -> Broadcasts:
    clock = FakeClock()
    return Broadcasts(InMemoryBroadcasts(30, clock), InMemoryMessages(30, clock), clock)


def request(*openids: str, **fields: Any) -> BroadcastRequest:
    return BroadcastRequest("42", openids, TEXT, **fields)


def test_recipients_are_distinct_and_keep_their_order(broadcasts: Broadcasts) -> None:
    broadcast = broadcasts.accept(request("b", "a", "b", "c", "a"))
    assert broadcast.openids == ("b", "a", "c")
    assert broadcast.duplicates == 2
    assert broadcasts.accept(request("a", "b")).duplicates == 0


def test_what_was_asked_for_is_kept(broadcasts: Broadcasts) -> None:
    accepted = broadcasts.accept(request("a", guarantee=Guarantee.AT_LEAST_ONCE))
    stored = broadcasts.get("42", accepted.broadcast_id)
    assert stored == accepted
    assert (stored.content, stored.guarantee) == (TEXT, Guarantee.AT_LEAST_ONCE)
    assert stored.accepted_at == FakeClock().now


def test_a_thousand_different_recipients_and_no_more(broadcasts: Broadcasts) -> None:
    thousand = [f"buyer{n}" for n in range(1000)]
    assert len(broadcasts.accept(request(*thousand, *thousand)).openids) == 1000
    for openids in ((*thousand, "one more"), ()):
        with pytest.raises(InvalidRequestError):
            broadcasts.accept(request(*openids))


def test_a_key_is_one_broadcast(broadcasts: Broadcasts) -> None:
    first = broadcasts.accept(request("a", "b", idempotency_key="k"))
    assert broadcasts.accept(request("a", "b", idempotency_key="k")) == first
    assert broadcasts.accept(request("a", "b")).broadcast_id != first.broadcast_id


@pytest.mark.parametrize(
    "other",
    [
        request("a", idempotency_key="k"),
        request("b", "a", idempotency_key="k"),
        request("a", "b", idempotency_key="k", guarantee=Guarantee.AT_LEAST_ONCE),
        BroadcastRequest("42", ("a", "b"), {**TEXT, "text": "x"}, idempotency_key="k"),
    ],
)
def test_another_request_under_the_same_key_is_refused(
    broadcasts: Broadcasts, other: BroadcastRequest
) -> None:
    broadcasts.accept(request("a", "b", idempotency_key="k"))
    with pytest.raises(IdempotencyKeyReusedError):
        broadcasts.accept(other)


def test_another_merchants_broadcast_is_not_found(broadcasts: Broadcasts) -> None:
    broadcast: Broadcast = broadcasts.accept(request("a"))
    with pytest.raises(NotFoundError):
        broadcasts.get("43", broadcast.broadcast_id)


def test_progress_counts_who_has_no_message_yet(
    broadcasts: Broadcasts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def get_many(_self: InMemoryMessages, _business_id: str, ids: Sequence[str]) -> list[Any]:
        asked.append(len(ids))
        return []

    monkeypatch.setattr(InMemoryMessages, "get_many", get_many)
    broadcast = broadcasts.accept(request(*(f"buyer{n}" for n in range(150))))
    assert broadcasts.progress(broadcast) == {"pending": 150}
    assert asked == [100, 50]  # DynamoDB reads a hundred at once


def test_recipients_are_read_page_by_page(broadcasts: Broadcasts) -> None:
    broadcast = broadcasts.accept(request(*(f"buyer{n}" for n in range(30))))
    seen: list[Recipient] = []
    cursor, pages = "0", 0
    while cursor:
        page = broadcasts.recipients(broadcast, start=int(cursor), limit=10)
        seen += page.items
        cursor = page.next_cursor or ""
        pages += 1
    assert [one.openid for one in seen] == list(broadcast.openids)
    assert len({one.message_id for one in seen}) == 30
    assert pages == 3
    assert broadcasts.recipients(broadcast, start=30, limit=10).items == []


def test_a_page_beyond_the_end_is_empty(broadcasts: Broadcasts) -> None:
    broadcast = broadcasts.accept(request("a", "b"))
    assert broadcasts.recipients(broadcast, start=2, limit=2) == Page([], None)
