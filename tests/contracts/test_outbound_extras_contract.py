"""Retries, looking up many, broadcasts and the media cache: fake and real alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.test_message_store_contract import M1, MakeStore, Store, due, ident, message
from tests.fakes import FakeClock, InMemoryBroadcasts, InMemoryMedia, InMemoryMessages
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.media_table import MediaTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.domain.clock import DAY, MINUTE, SECOND
from wechat_kf.domain.media_library import MediaCache, StoredMedia
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.message import (
    Failure,
    Guarantee,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Unknown,
    Wait,
    settle,
)
from wechat_kf.domain.messages.ports import BroadcastStore, Claimed

NOW = FakeClock().now
CLOSED = NotSent(Failure("window_closed", "closed", 45015))
CUT = Unknown(Failure("wechat_did_not_answer", "no answer"))


@pytest.fixture(params=["fake", "real"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_store(kind: str, request: pytest.FixtureRequest, clock: FakeClock) -> MakeStore:
    def make(retention_days: int = 30) -> Store:
        if kind == "fake":
            return InMemoryMessages(retention_days, clock)
        resources: Resources = request.getfixturevalue("resources")
        name = resources.table("MessagesTable")
        return MessagesTable(resources.dynamodb, name, retention_days, clock)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


def attempted(store: Store, outcome: Outcome, message_id: str = M1) -> OutboundMessage:
    claim = store.claim("42", message_id, now=NOW, until=NOW + 30 * SECOND)
    assert claim.message is not None
    after = settle(claim.message, outcome, now=NOW)
    store.finish(after)
    return after


def reopened(settled: OutboundMessage) -> OutboundMessage:
    return replace(
        settled,
        status=Status.ACCEPTED,
        settled_at=0,
        claimed_until=0,
        risky_attempts=0,
        attempts_before=settled.attempts,
        expires_at=NOW + 40 * MINUTE,
    )


# -- retries


@pytest.mark.parametrize("outcome", [CLOSED, CUT])
def test_a_failed_or_unknown_message_is_accepted_again(store: Store, outcome: Outcome) -> None:
    store.add(message())
    again = reopened(attempted(store, outcome))
    assert store.reopen(again)
    assert store.get("42", M1) == again
    claim = store.claim("42", M1, now=NOW, until=NOW + SECOND)
    assert claim.result is Claimed.OURS
    assert claim.message is not None
    assert claim.message.attempts == 2


def test_a_sent_message_is_not_accepted_again(store: Store) -> None:
    store.add(message())
    again = reopened(attempted(store, Sent()))
    assert not store.reopen(again)
    found = store.get("42", M1)
    assert found is not None
    assert found.status is Status.SENT


def test_of_two_retries_at_once_one_wins(store: Store) -> None:
    store.add(message())
    again = reopened(attempted(store, CLOSED))
    other = replace(again, expires_at=again.expires_at + 1)
    assert [store.reopen(again), store.reopen(other)] == [True, False]
    assert store.reopen(again)  # its own write, repeated


def test_a_retry_that_read_an_older_attempt_is_refused(store: Store) -> None:
    store.add(message())
    first = reopened(attempted(store, CLOSED))
    store.reopen(first)
    attempted(store, CLOSED)
    assert not store.reopen(replace(first, expires_at=first.expires_at + 1))


def test_a_reopened_message_is_due_a_minute_later(store: Store, clock: FakeClock) -> None:
    store.add(message())
    settled = attempted(store, CLOSED)
    clock.advance(20 * MINUTE)
    store.reopen(reopened(settled))
    assert due(store, clock() + MINUTE - 1) == set()
    assert due(store, clock() + MINUTE) == {("42", M1)}


def test_a_reopened_message_outlives_the_retention_it_was_accepted_with(
    store: Store, clock: FakeClock
) -> None:
    store.add(message())
    settled = attempted(store, CLOSED)
    clock.advance(30 * DAY - MINUTE)
    again = replace(reopened(settled), expires_at=clock() + 15 * MINUTE)
    assert store.reopen(again)
    clock.advance(15 * MINUTE)
    assert store.get("42", M1) == again
    clock.advance(DAY)
    assert store.get("42", M1) is None


def test_risky_attempts_are_counted_from_attempt_to_attempt(store: Store) -> None:
    store.add(message())
    busy = NotSent(Failure("system_busy", "busy", -1), Wait.RISKY)
    assert attempted(store, busy).risky_attempts == 1
    attempted(store, NotSent(Failure("wechat_unreachable", "x"), Wait.SHORT))
    assert attempted(store, busy).risky_attempts == 2
    settled = attempted(store, CLOSED)
    store.reopen(reopened(settled))
    assert attempted(store, busy).risky_attempts == 1


def test_perhaps_sent_is_remembered_through_later_attempts(store: Store) -> None:
    store.add(message(guarantee=Guarantee.AT_LEAST_ONCE))
    attempted(store, CUT)
    attempted(store, NotSent(Failure("wechat_unreachable", "x"), Wait.SHORT))
    claim = store.claim("42", M1, now=NOW, until=NOW + SECOND)
    assert claim.message is not None
    assert claim.message.perhaps_sent


# -- many at once


def test_many_are_looked_up_at_once_and_the_missing_are_left_out(store: Store) -> None:
    for number in range(100):
        store.add(message(f"m{number}"))
    store.add(message("m1", business_id="43"))
    ids = [ident(f"m{number}") for number in range(100)]
    assert {one.message_id for one in store.get_many("42", ids)} == set(ids)
    assert store.get_many("42", [M1, ident("nobody"), "nonsense"]) == [message("m1")]
    assert store.get_many("44", [M1]) == []
    assert store.get_many("42", ["nonsense"]) == []


def test_what_is_over_is_not_looked_up(store: Store, clock: FakeClock) -> None:
    store.add(message())
    clock.advance(30 * DAY)
    assert store.get_many("42", [M1]) == []


# -- broadcasts


class MakeBroadcasts(Protocol):
    def __call__(self, retention_days: int = 30) -> BroadcastStore: ...


@pytest.fixture
def make_broadcasts(kind: str, request: pytest.FixtureRequest, clock: FakeClock) -> MakeBroadcasts:
    def make(retention_days: int = 30) -> BroadcastStore:
        if kind == "fake":
            return InMemoryBroadcasts(retention_days, clock)
        resources: Resources = request.getfixturevalue("resources")
        name = resources.table("MessagesTable")
        return BroadcastsTable(resources.dynamodb, name, retention_days, clock)

    return make


@pytest.fixture
def broadcasts(make_broadcasts: MakeBroadcasts) -> BroadcastStore:
    return make_broadcasts()


def broadcast(**fields: Any) -> Broadcast:
    known: dict[str, Any] = {
        "broadcast_id": "b1",
        "business_id": "42",
        "openids": tuple(f"oXyz_{number:023d}" for number in range(1000)),
        "content": {"type": "text", "text": "您好 👋\uffff", "ai_generated": True},
        "request_digest": "digest",
        "accepted_at": NOW,
        "guarantee": Guarantee.AT_LEAST_ONCE,
        "duplicates": 3,
    }
    return Broadcast(**{**known, **fields})


def test_a_broadcast_of_a_thousand_comes_back_as_it_was(broadcasts: BroadcastStore) -> None:
    assert broadcasts.add(broadcast()) == broadcast()
    assert broadcasts.get("42", "b1") == broadcast()


def test_a_thousand_of_the_longest_openids_fit(broadcasts: BroadcastStore) -> None:
    longest = broadcast(openids=tuple(f"{number:0128d}" for number in range(1000)))
    broadcasts.add(longest)
    assert broadcasts.get("42", "b1") == longest


def test_adding_a_broadcast_again_answers_with_the_first(broadcasts: BroadcastStore) -> None:
    broadcasts.add(broadcast())
    assert broadcasts.add(broadcast(request_digest="other")) == broadcast()


def test_another_merchants_broadcast_is_another_one(broadcasts: BroadcastStore) -> None:
    broadcasts.add(broadcast())
    assert broadcasts.get("43", "b1") is None
    assert broadcasts.get("42", "b2") is None


def test_a_broadcast_ends_with_its_retention(broadcasts: BroadcastStore, clock: FakeClock) -> None:
    broadcasts.add(broadcast())
    clock.advance(30 * DAY)
    assert broadcasts.get("42", "b1") is None
    new = broadcast(accepted_at=clock())
    assert broadcasts.add(new) == new


def test_an_expanded_broadcast_keeps_its_text_where_texts_are_kept(
    broadcasts: BroadcastStore,
) -> None:
    broadcasts.add(broadcast())
    broadcasts.finish("42", "b1")
    assert broadcasts.get("42", "b1") == broadcast()


def test_an_expanded_broadcast_loses_its_text_where_none_are_kept(
    make_broadcasts: MakeBroadcasts,
) -> None:
    forgetful = make_broadcasts(0)
    forgetful.add(broadcast())
    assert forgetful.get("42", "b1") == broadcast()
    for _ in range(2):
        forgetful.finish("42", "b1")
        assert forgetful.get("42", "b1") == broadcast(content={})
    forgetful.finish("42", "nobody's")
    assert forgetful.get("42", "nobody's") is None


def test_a_broadcast_is_no_message_and_in_no_transcript(
    resources: Resources, clock: FakeClock
) -> None:
    name = resources.table("MessagesTable")
    messages = MessagesTable(resources.dynamodb, name, 30, clock)
    BroadcastsTable(resources.dynamodb, name, 30, clock).add(broadcast())
    MediaTable(resources.dynamodb, name, "wx1").put("d", StoredMedia("m", NOW + DAY))
    assert messages.get("42", "b1") is None
    assert set(messages.list_due(now=NOW + 30 * DAY)) == set()


# -- media


@pytest.fixture
def media(kind: str, request: pytest.FixtureRequest) -> MediaCache:
    if kind == "fake":
        return InMemoryMedia()
    resources: Resources = request.getfixturevalue("resources")
    return MediaTable(resources.dynamodb, resources.table("MessagesTable"), "wx1")


def test_the_last_upload_of_a_content_is_remembered(media: MediaCache) -> None:
    assert media.get("digest") is None
    media.put("digest", StoredMedia("first", NOW))
    media.put("digest", StoredMedia("second", NOW + 1))
    assert media.get("digest") == StoredMedia("second", NOW + 1)
    assert media.get("other") is None


def test_a_media_id_is_of_one_app(resources: Resources) -> None:
    name = resources.table("MessagesTable")
    one, other = (MediaTable(resources.dynamodb, name, app) for app in ("wx1", "wx2"))
    one.put("digest", StoredMedia("first", NOW))
    assert other.get("digest") is None


def test_a_media_id_that_is_forgotten_is_of_no_content_any_more(media: MediaCache) -> None:
    for digest in ("one", "two"):
        media.put(digest, StoredMedia("dead", NOW + DAY))
    media.put("three", StoredMedia("alive", NOW + DAY))
    for _ in range(2):
        media.forget("dead", until=NOW + 3 * DAY)
    assert (media.get("one"), media.get("two")) == (None, None)
    assert media.get("three") == StoredMedia("alive", NOW + DAY)
    media.put("one", StoredMedia("new", NOW + DAY))
    assert media.get("one") == StoredMedia("new", NOW + DAY)
