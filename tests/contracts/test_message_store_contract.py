"""What every `OutboundStore`, `Transcript` and `TranscriptReader` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import FakeClock, InMemoryMessages
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.domain.clock import DAY, MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.messages.inbound import Transcript
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
from wechat_kf.domain.messages.ports import Claim, Claimed, OutboundStore, TranscriptReader
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry
from wechat_kf.errors import ConflictError, InvalidRequestError

NOW = FakeClock().now
FAILURE = Failure("busy", "system busy", errcode=-1, rid="6a-1b")


class Store(OutboundStore, Transcript, TranscriptReader, Protocol):
    """The three protocols together, and the sweeper's question."""

    def overdue(self, *, now: int, limit: int) -> list[tuple[str, str]]: ...


class MakeStore(Protocol):
    def __call__(self, retention_days: int = 30) -> Store: ...


@pytest.fixture(params=["fake", "real"])
def make_store(request: pytest.FixtureRequest, clock: FakeClock) -> MakeStore:
    def make(retention_days: int = 30) -> Store:
        if request.param == "fake":
            return InMemoryMessages(retention_days, clock)
        resources: Resources = request.getfixturevalue("resources")
        name = resources.table("MessagesTable")
        return MessagesTable(resources.dynamodb, name, retention_days, clock)

    return make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


def message(message_id: str = "m1", **fields: Any) -> OutboundMessage:
    known: dict[str, Any] = {
        "message_id": message_id,
        "business_id": "42",
        "openid": "buyer#1",
        "content": {"type": "text", "text": "您好 👋", "nested": {"big": 2**63, "none": None}},
        "request_digest": "digest",
        "accepted_at": NOW,
        "expires_at": NOW + 15 * MINUTE,
    }
    return OutboundMessage(**{**known, **fields})


def received(event_id: str = "e1", at_ms: int = NOW, **fields: Any) -> Event:
    return Event(
        id=event_id,
        type=EventType.MESSAGE_RECEIVED,
        app_id="wx0123456789abcdef",
        business_id=fields.pop("business_id", "42"),
        openid="buyer#1",
        at_ms=at_ms,
        data={
            "message_id": "22923519871373703",
            "message": {"type": "text", "text": "你好\ud83d\uffff", "event": event_id},
            **fields,
        },
    )


def claimed(store: Store, message_id: str = "m1", *, now: int = NOW) -> OutboundMessage:
    claim = store.claim("42", message_id, now=now, until=now + 30 * SECOND)
    assert claim.result is Claimed.OURS
    assert claim.message is not None
    return claim.message


# -- add, get


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"guarantee": Guarantee.AT_LEAST_ONCE, "broadcast_id": "b1", "perhaps_sent": True},
        {"risky_attempts": 2, "attempts": 3, "status": Status.QUEUED},
        {"failure": FAILURE, "attempts": 3, "status": Status.QUEUED},
        {"failure": Failure("x", "y"), "settled_at": NOW, "status": Status.FAILED},
    ],
)
def test_a_message_comes_back_as_it_was(store: Store, fields: dict[str, Any]) -> None:
    new = message(**fields)
    assert store.add(new) == new
    assert store.get("42", "m1") == new


def test_adding_the_same_id_again_answers_with_the_first(store: Store) -> None:
    first = message()
    store.add(first)
    assert store.add(message(content={"type": "text", "text": "other"})) == first
    assert store.get("42", "m1") == first


def test_the_same_message_id_of_another_merchant_is_another_message(store: Store) -> None:
    store.add(message())
    other = message(business_id="43", openid="somebody")
    assert store.add(other) == other
    assert store.get("44", "m1") is None


def test_a_received_message_is_no_outbound_one(store: Store) -> None:
    store.keep(received("e1"))
    assert store.get("42", "in#e1") is None


def test_a_message_is_gone_at_the_end_of_its_retention_and_its_id_is_free(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=3)
    store.add(message())
    clock.advance(3 * DAY - SECOND)
    assert store.get("42", "m1") is not None
    clock.advance(SECOND)
    assert store.get("42", "m1") is None
    again = message(accepted_at=clock(), content={"type": "text", "text": "new"})
    assert store.add(again) == again
    assert store.get("42", "m1") == again


# -- mark_queued


def test_mark_queued_moves_only_an_accepted_message(store: Store) -> None:
    store.add(message())
    store.mark_queued("42", "m1")
    queued = store.get("42", "m1")
    assert queued == message(status=Status.QUEUED)
    held = claimed(store)
    store.mark_queued("42", "m1")
    assert store.get("42", "m1") == held


def test_mark_queued_of_an_unknown_message_makes_none(store: Store) -> None:
    store.mark_queued("42", "m1")
    assert store.get("42", "m1") is None


# -- claim


@pytest.mark.parametrize("queued", [True, False])
def test_a_claim_makes_the_message_ours_and_counts(store: Store, queued: bool) -> None:
    store.add(message())
    if queued:
        store.mark_queued("42", "m1")
    ours = message(status=Status.SENDING, attempts=1, claimed_until=NOW + 30 * SECOND)
    claim = store.claim("42", "m1", now=NOW, until=NOW + 30 * SECOND)
    assert claim == Claim(Claimed.OURS, ours)
    assert store.get("42", "m1") == ours


def test_a_claim_of_an_unknown_message_makes_none(store: Store) -> None:
    assert store.claim("42", "m1", now=NOW, until=NOW + 1) == Claim(Claimed.ABSENT, None)
    assert store.get("42", "m1") is None


def test_a_held_message_is_left_to_its_holder_until_his_time_is_up(store: Store) -> None:
    store.add(message())
    held = claimed(store)
    late = NOW + 30 * SECOND
    assert store.claim("42", "m1", now=late - 1, until=late + 1) == Claim(Claimed.HELD, held)
    taken = replace(held, claimed_until=late + 30 * SECOND)
    claim = store.claim("42", "m1", now=late, until=late + 30 * SECOND)
    assert claim == Claim(Claimed.ABANDONED, taken)
    assert store.claim("42", "m1", now=late, until=late + MINUTE) == Claim(Claimed.HELD, taken)


@pytest.mark.parametrize("outcome", [Sent(), NotSent(FAILURE), Unknown(FAILURE)])
def test_a_settled_message_cannot_be_claimed(store: Store, outcome: Outcome) -> None:
    store.add(message())
    settled = settle(claimed(store), outcome, now=NOW + 1)
    store.finish(settled)
    assert store.claim("42", "m1", now=NOW + DAY, until=NOW + 2 * DAY) == Claim(
        Claimed.SETTLED, settled
    )


def test_of_many_who_claim_at_once_one_gets_it(store: Store) -> None:
    store.add(message())
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(lambda _: store.claim("42", "m1", now=NOW, until=NOW + MINUTE), range(8))
        )
    results = [claim.result for claim in claims]
    assert sorted(results) == [Claimed.HELD] * 7 + [Claimed.OURS]


def test_of_many_who_take_over_at_once_one_gets_it(store: Store) -> None:
    store.add(message())
    claimed(store)
    late = NOW + MINUTE
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(
                lambda number: store.claim("42", "m1", now=late, until=late + MINUTE + number),
                range(8),
            )
        )
    results = [claim.result for claim in claims]
    assert sorted(results) == [Claimed.ABANDONED] + [Claimed.HELD] * 7


# -- finish


@pytest.mark.parametrize(
    "outcome", [Sent(), NotSent(FAILURE), NotSent(FAILURE, Wait.SHORT), Unknown(FAILURE)]
)
def test_finish_records_what_settle_made_and_may_be_repeated(
    store: Store, outcome: Outcome
) -> None:
    store.add(message())
    after = settle(claimed(store), outcome, now=NOW + 1)
    store.finish(after)
    store.finish(after)
    assert store.get("42", "m1") == after


def test_success_clears_the_failure_of_an_earlier_attempt(store: Store) -> None:
    store.add(message())
    store.finish(settle(claimed(store), NotSent(FAILURE, Wait.SHORT), now=NOW))
    again = claimed(store)
    assert (again.attempts, again.failure) == (2, FAILURE)
    store.finish(settle(again, Sent(), now=NOW + 1))
    stored = store.get("42", "m1")
    assert stored is not None
    assert (stored.status, stored.failure) == (Status.SENT, None)


def test_who_lost_a_message_cannot_overwrite_its_outcome(store: Store) -> None:
    store.add(message())
    slow = claimed(store)
    late = NOW + MINUTE
    taken = store.claim("42", "m1", now=late, until=late + MINUTE).message
    assert taken is not None
    unknown = settle(taken, Unknown(FAILURE), now=late)
    store.finish(unknown)
    with pytest.raises(ConflictError):
        store.finish(settle(slow, NotSent(FAILURE, Wait.SHORT), now=late + 1))
    assert store.get("42", "m1") == unknown


def test_who_lost_a_message_cannot_overwrite_a_later_attempt(store: Store) -> None:
    store.add(message(guarantee=Guarantee.AT_LEAST_ONCE))
    slow = claimed(store)
    store.finish(settle(slow, Unknown(FAILURE), now=NOW))
    second = claimed(store)
    with pytest.raises(ConflictError):
        store.finish(settle(slow, Sent(), now=NOW + 1))
    assert store.get("42", "m1") == second


def test_without_retention_the_content_goes_when_it_is_settled_and_the_rest_stays(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=0)
    store.add(message())
    waiting = settle(claimed(store), NotSent(FAILURE, Wait.SHORT), now=NOW)
    store.finish(waiting)
    assert store.get("42", "m1") == waiting  # still needed for the next attempt
    settled = settle(claimed(store), Sent(), now=NOW)
    store.finish(settled)
    clock.advance(7 * DAY - SECOND)
    assert store.get("42", "m1") == replace(settled, content={})
    assert store.add(message()).status is Status.SENT
    clock.advance(SECOND)
    assert store.get("42", "m1") is None


# -- sent_at


def test_sent_at_counts_what_was_or_may_have_been_sent(store: Store) -> None:
    outcomes: dict[str, tuple[Outcome, int]] = {
        "sent": (Sent(), NOW + 1),
        "unknown": (Unknown(FAILURE), NOW + 2),
        "failed": (NotSent(FAILURE), NOW + 3),
        "waiting": (NotSent(FAILURE, Wait.SHORT), NOW + 4),
    }
    for number, (name, (outcome, at)) in enumerate(outcomes.items()):
        store.add(message(name, accepted_at=NOW + number))
        store.finish(settle(claimed(store, name), outcome, now=at))
    store.add(message("accepted", accepted_at=NOW + 9))
    store.add(message("other", openid="other"))
    store.finish(settle(claimed(store, "other"), Sent(), now=NOW + 5))
    store.keep(received(at_ms=NOW + 6))
    assert store.sent_at("42", "buyer#1", since=NOW, limit=10) == [NOW + 2, NOW + 1]
    assert store.sent_at("42", "buyer#1", since=NOW + 2, limit=10) == [NOW + 2]
    assert store.sent_at("42", "buyer#1", since=NOW, limit=1) == [NOW + 2]


# -- overdue


def test_overdue_names_what_is_stuck_and_nothing_else(store: Store) -> None:
    store.add(message("accepted"))
    store.add(message("queued"))
    store.mark_queued("42", "queued")
    store.add(message("sending"))
    claimed(store, "sending")
    store.add(message("waiting"))
    store.finish(settle(claimed(store, "waiting"), NotSent(FAILURE, Wait.SHORT), now=NOW))
    store.add(message("settled"))
    store.finish(settle(claimed(store, "settled"), Sent(), now=NOW))

    def overdue(at: int) -> set[str]:
        keys = store.overdue(now=at, limit=100)
        assert {business_id for business_id, _ in keys} <= {"42"}
        return {message_id for _, message_id in keys}

    assert overdue(NOW + 30 * SECOND - 1) == set()
    assert overdue(NOW + 30 * SECOND) == {"sending"}
    assert overdue(NOW + MINUTE) == {"sending", "accepted"}
    assert overdue(NOW + 15 * MINUTE) == {"sending", "accepted", "queued", "waiting"}


# -- transcript


def test_the_transcript_shows_both_directions_newest_first(store: Store) -> None:
    store.keep(received("e1", NOW))
    store.add(message("m1", accepted_at=NOW + 1))
    store.keep(received("e2", NOW + 2))
    store.keep(received("e2", NOW + 2))
    store.keep(received("e9", NOW + 3, business_id="43"))
    page = store.transcript("42", "buyer#1", limit=10, cursor=None)
    assert list(page.items) == [
        TranscriptEntry("e2", Direction.RECEIVED, NOW + 2, received("e2").data["message"]),
        TranscriptEntry("m1", Direction.SENT, NOW + 1, message().content, Status.ACCEPTED),
        TranscriptEntry("e1", Direction.RECEIVED, NOW, received("e1").data["message"]),
    ]
    assert page.next_cursor is None


def test_within_a_second_wechats_own_id_tells_the_order(store: Store) -> None:
    for event_id, wechat_id in (("c", "9"), ("a", "10"), ("b", "22923519871373703")):
        store.keep(received(event_id, NOW, message_id=wechat_id))
    page = store.transcript("42", "buyer#1", limit=10, cursor=None)
    assert [entry.entry_id for entry in page.items] == ["b", "a", "c"]


def test_the_transcript_pages_to_its_end(store: Store) -> None:
    for number in range(5):
        store.keep(received(f"e{number}", NOW + number // 2))
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = store.transcript("42", "buyer#1", limit=2, cursor=cursor)
        seen += [entry.entry_id for entry in page.items]
        cursor = page.next_cursor
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["nonsense", "WyJ4Il0", "WyIxIzQzI2luI2UiXQ"])
def test_a_cursor_that_is_not_ours_is_the_callers_mistake(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        store.transcript("42", "buyer#1", limit=2, cursor=cursor)


def test_without_retention_no_received_message_is_kept(make_store: MakeStore) -> None:
    store = make_store(retention_days=0)
    store.keep(received())
    assert not store.transcript("42", "buyer#1", limit=10, cursor=None).items


def test_the_transcript_forgets_at_the_end_of_the_retention(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=3)
    store.keep(received())
    store.add(message())
    clock.advance(3 * DAY)
    assert not store.transcript("42", "buyer#1", limit=10, cursor=None).items


# -- promises about the table itself


def test_a_send_costs_four_writes_and_a_received_message_one(
    resources: Resources, dynamodb: Any, clock: FakeClock
) -> None:
    client = CountingClient(dynamodb)
    table = MessagesTable(client, resources.table("MessagesTable"), 30, clock)
    table.add(message())
    table.mark_queued("42", "m1")
    claim = table.claim("42", "m1", now=NOW, until=NOW + MINUTE)
    assert claim.message is not None
    table.finish(settle(claim.message, Sent(), now=NOW))
    assert client.calls == {"put_item": 1, "update_item": 3}
    client.calls.clear()
    table.keep(received())
    assert client.calls == {"put_item": 1}


def test_a_claim_whose_answer_was_lost_and_repeated_is_still_ours(
    resources: Resources, dynamodb: Any, clock: FakeClock
) -> None:
    class Repeating(CountingClient):
        """Does every update twice and shows the second answer, as a retry after a lost one."""

        def update_item(self, **request: Any) -> Any:
            dynamodb.update_item(**request)
            return dynamodb.update_item(**request)

    name = resources.table("MessagesTable")
    table = MessagesTable(Repeating(dynamodb), name, 30, clock)
    table.add(message())
    claim = table.claim("42", "m1", now=NOW, until=NOW + MINUTE)
    ours = message(status=Status.SENDING, attempts=1, claimed_until=NOW + MINUTE)
    assert claim == Claim(Claimed.OURS, ours)
    table.finish(settle(ours, Sent(), now=NOW))  # repeated as well


def test_every_item_has_its_end(resources: Resources, dynamodb: Any, clock: FakeClock) -> None:
    name = resources.table("MessagesTable")
    table = MessagesTable(dynamodb, name, 30, clock)
    table.add(message())
    table.keep(received())
    attribute = resources.ttl_attribute("MessagesTable")
    ends = [int(item[attribute]["N"]) for item in dynamodb.scan(TableName=name)["Items"]]
    assert ends == [(NOW + 30 * DAY) // 1000] * 2
