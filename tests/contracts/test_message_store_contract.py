"""What every `OutboundStore`, `Transcript` and `TranscriptReader` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Protocol

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import FakeClock, InMemoryMessages, make_message_id
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.app_errors import ConflictError, InvalidRequestError
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
from wechat_kf.domain.messages.message_ids import message_id_at
from wechat_kf.domain.messages.ports import (
    Claim,
    Claimed,
    KeyBinding,
    SweeperStore,
    TranscriptReader,
)
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry

NOW = FakeClock().now
FAILURE = Failure("busy", "system busy", errcode=-1, rid="6a-1b")


class Store(SweeperStore, Transcript, TranscriptReader, Protocol):
    """The three protocols together."""


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


BUYER = "buyer#1"


def ident(name: str = "m1", openid: str = BUYER, at: int = NOW) -> str:
    return make_message_id(name, openid, at)


M1 = ident()


def message(name: str = "m1", **fields: Any) -> OutboundMessage:
    openid, at = fields.get("openid", BUYER), fields.get("accepted_at", NOW)
    known: dict[str, Any] = {
        "message_id": ident(name, openid, at),
        "business_id": "42",
        "openid": openid,
        "content": {"type": "text", "text": "您好 👋", "nested": {"big": 2**63, "none": None}},
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
        openid=BUYER,
        at_ms=at_ms,
        data={
            "message_id": "22923519871373703",
            "message": {"type": "text", "text": "你好\ud83d\uffff", "event": event_id},
            **fields,
        },
    )


def claimed(store: Store, message_id: str = M1, *, now: int = NOW) -> OutboundMessage:
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
        {"risky_attempts": 2, "attempts": 3, "status": Status.ACCEPTED},
        {"failure": FAILURE, "attempts": 3, "status": Status.ACCEPTED},
        {"failure": Failure("x", "y"), "settled_at": NOW, "status": Status.FAILED},
    ],
)
def test_a_message_comes_back_as_it_was(store: Store, fields: dict[str, Any]) -> None:
    new = message(**fields)
    assert store.add(new) == new
    assert store.get("42", M1) == new


def test_adding_the_same_id_again_answers_with_the_first(store: Store) -> None:
    first = message()
    store.add(first)
    assert store.add(message(content={"type": "text", "text": "other"})) == first
    assert store.get("42", M1) == first


def test_the_same_message_id_of_another_merchant_is_another_message(store: Store) -> None:
    store.add(message())
    other = message(business_id="43", openid="somebody")
    assert store.add(other) == other
    assert store.get("44", M1) is None


def test_a_received_message_is_no_outbound_one(store: Store) -> None:
    store.keep(received("e1"))
    position = f"{NOW}r{'22923519871373703':0>20}e1"
    for message_id in ("e1", "in#e1", position, message_id_at(BUYER, position)):
        assert store.get("42", message_id) is None


def test_a_message_is_gone_at_the_end_of_its_retention(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=3)
    store.add(message())
    clock.advance(3 * DAY - SECOND)
    assert store.get("42", M1) is not None
    clock.advance(SECOND)
    assert store.get("42", M1) is None


# -- idempotency keys


BINDING = KeyBinding("42", "key", "digest", M1)


def test_a_key_stands_for_the_first_message_it_was_bound_to(store: Store) -> None:
    assert store.find_key("42", "key") is None
    assert store.bind_key(BINDING) == BINDING
    other = replace(BINDING, message_id=ident("m2"), request_digest="other")
    assert store.bind_key(other) == BINDING
    assert store.find_key("42", "key") == BINDING
    assert store.find_key("43", "key") is None
    assert store.get("42", M1) is None  # a key is no message


@pytest.mark.parametrize("retention_days", [0, 3])
def test_a_key_is_free_when_its_message_is_gone(
    make_store: MakeStore, clock: FakeClock, retention_days: int
) -> None:
    store = make_store(retention_days)
    store.bind_key(BINDING)
    clock.advance((retention_days or 7) * DAY - SECOND)
    assert store.find_key("42", "key") == BINDING
    clock.advance(SECOND)
    assert store.find_key("42", "key") is None
    other = replace(BINDING, message_id=ident("m2", at=clock()))
    assert store.bind_key(other) == other


# -- claim


def test_a_claim_makes_the_message_ours_and_counts(store: Store) -> None:
    store.add(message())
    ours = message(status=Status.SENDING, attempts=1, claimed_until=NOW + 30 * SECOND)
    claim = store.claim("42", M1, now=NOW, until=NOW + 30 * SECOND)
    assert claim == Claim(Claimed.OURS, ours)
    assert store.get("42", M1) == ours


def test_a_claim_of_an_unknown_message_makes_none(store: Store) -> None:
    assert store.claim("42", M1, now=NOW, until=NOW + 1) == Claim(Claimed.ABSENT, None)
    assert store.get("42", M1) is None


def test_a_held_message_is_left_to_its_holder_until_his_time_is_up(store: Store) -> None:
    store.add(message())
    held = claimed(store)
    late = NOW + 30 * SECOND
    assert store.claim("42", M1, now=late - 1, until=late + 1) == Claim(Claimed.HELD, held)
    taken = replace(held, claimed_until=late + 30 * SECOND)
    claim = store.claim("42", M1, now=late, until=late + 30 * SECOND)
    assert claim == Claim(Claimed.ABANDONED, taken)
    assert store.claim("42", M1, now=late, until=late + MINUTE) == Claim(Claimed.HELD, taken)


@pytest.mark.parametrize("outcome", [Sent(), NotSent(FAILURE), Unknown(FAILURE)])
def test_a_settled_message_cannot_be_claimed(store: Store, outcome: Outcome) -> None:
    store.add(message())
    settled = settle(claimed(store), outcome, now=NOW + 1)
    store.finish(settled)
    assert store.claim("42", M1, now=NOW + DAY, until=NOW + 2 * DAY) == Claim(
        Claimed.SETTLED, settled
    )


def test_of_many_who_claim_at_once_one_gets_it(store: Store) -> None:
    store.add(message())
    with ThreadPoolExecutor(8) as pool:
        claims = list(
            pool.map(lambda _: store.claim("42", M1, now=NOW, until=NOW + MINUTE), range(8))
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
                lambda number: store.claim("42", M1, now=late, until=late + MINUTE + number),
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
    assert store.get("42", M1) == after


def test_success_clears_the_failure_of_an_earlier_attempt(store: Store) -> None:
    store.add(message())
    store.finish(settle(claimed(store), NotSent(FAILURE, Wait.SHORT), now=NOW))
    again = claimed(store)
    assert (again.attempts, again.failure) == (2, FAILURE)
    store.finish(settle(again, Sent(), now=NOW + 1))
    stored = store.get("42", M1)
    assert stored is not None
    assert (stored.status, stored.failure) == (Status.SENT, None)


def test_who_lost_a_message_cannot_overwrite_its_outcome(store: Store) -> None:
    store.add(message())
    slow = claimed(store)
    late = NOW + MINUTE
    taken = store.claim("42", M1, now=late, until=late + MINUTE).message
    assert taken is not None
    unknown = settle(taken, Unknown(FAILURE), now=late)
    store.finish(unknown)
    with pytest.raises(ConflictError):
        store.finish(settle(slow, NotSent(FAILURE, Wait.SHORT), now=late + 1))
    assert store.get("42", M1) == unknown


def test_who_lost_a_message_cannot_overwrite_a_later_attempt(store: Store) -> None:
    store.add(message(guarantee=Guarantee.AT_LEAST_ONCE))
    slow = claimed(store)
    store.finish(settle(slow, Unknown(FAILURE), now=NOW))
    second = claimed(store)
    with pytest.raises(ConflictError):
        store.finish(settle(slow, Sent(), now=NOW + 1))
    assert store.get("42", M1) == second


def test_without_retention_the_content_goes_when_it_is_settled_and_the_rest_stays(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=0)
    store.add(message())
    waiting = settle(claimed(store), NotSent(FAILURE, Wait.SHORT), now=NOW)
    store.finish(waiting)
    assert store.get("42", M1) == waiting  # still needed for the next attempt
    settled = settle(claimed(store), Sent(), now=NOW)
    store.finish(settled)
    clock.advance(7 * DAY - SECOND)
    assert store.get("42", M1) == replace(settled, content={})
    assert store.add(message()).status is Status.SENT
    clock.advance(SECOND)
    assert store.get("42", M1) is None


# -- sent_at


def test_sent_at_counts_what_was_or_may_have_been_sent(store: Store) -> None:
    outcomes: dict[str, tuple[Outcome, int]] = {
        "sent": (Sent(), NOW + 1),
        "unknown": (Unknown(FAILURE), NOW + 2),
        "failed": (NotSent(FAILURE), NOW + 3),
        "waiting": (NotSent(FAILURE, Wait.SHORT), NOW + 4),
    }
    for number, (name, (outcome, at)) in enumerate(outcomes.items()):
        stored = store.add(message(name, accepted_at=NOW + number))
        store.finish(settle(claimed(store, stored.message_id), outcome, now=at))
    store.add(message("accepted", accepted_at=NOW + 9))
    other = store.add(message("other", openid="other"))
    store.finish(settle(claimed(store, other.message_id), Sent(), now=NOW + 5))
    store.keep(received(at_ms=NOW + 6))
    assert store.sent_at("42", BUYER, since=NOW) == [NOW + 2, NOW + 1]
    assert store.sent_at("42", BUYER, since=NOW + 2) == [NOW + 2]
    assert store.sent_at("43", BUYER, since=NOW) == []


def test_sent_at_looks_at_the_latest_eight_and_a_minute_back(store: Store) -> None:
    for number in range(10):
        stored = store.add(message(f"m{number}", accepted_at=NOW + number))
        store.finish(settle(claimed(store, stored.message_id), Sent(), now=NOW + 2 * MINUTE))
    assert len(store.sent_at("42", BUYER, since=NOW)) == 8
    assert len(store.sent_at("42", BUYER, since=NOW + MINUTE + 5)) == 5


# -- unsettled


def test_the_unsettled_messages_of_a_conversation_are_listed_in_order(store: Store) -> None:
    for number in (3, 1, 2):
        store.add(message(f"m{number}", accepted_at=NOW + number))
    store.add(message("other", openid="other"))
    store.add(message("other", business_id="43"))
    ids = [ident(f"m{number}", at=NOW + number) for number in (1, 2, 3)]
    assert store.list_unsettled("42", BUYER, limit=20) == ids
    waiting = settle(claimed(store, ids[1]), NotSent(FAILURE, Wait.SHORT), now=NOW)
    store.finish(waiting)
    assert store.list_unsettled("42", BUYER, limit=20) == ids
    store.finish(settle(claimed(store, ids[0]), Sent(), now=NOW))
    assert store.list_unsettled("42", BUYER, limit=20) == ids[1:]
    assert len(store.list_unsettled("42", BUYER, limit=1)) == 1


def test_a_message_that_is_stored_as_settled_is_never_unsettled(store: Store) -> None:
    refused = settle(message(), NotSent(FAILURE), now=NOW)
    assert store.add(refused) == refused
    assert store.get("42", M1) == refused
    assert store.list_unsettled("42", BUYER, limit=20) == []
    assert due(store, NOW + DAY) == set()


# -- due


def due(store: Store, at: int) -> set[tuple[str, str]]:
    return set(store.list_due(now=at))


def test_what_is_unsettled_for_a_minute_is_due_and_nothing_else(store: Store) -> None:
    store.add(message("accepted"))
    sending = store.add(message("sending"))
    claimed(store, sending.message_id)
    waiting = store.add(message("waiting", openid="other", business_id="43"))
    claim = store.claim("43", waiting.message_id, now=NOW, until=NOW + MINUTE)
    assert claim.message is not None
    store.finish(settle(claim.message, NotSent(FAILURE, Wait.SHORT), now=NOW))
    settled = store.add(message("settled"))
    store.finish(settle(claimed(store, settled.message_id), Sent(), now=NOW))
    store.keep(received())
    store.bind_key(BINDING)
    assert due(store, NOW + MINUTE - 1) == set()
    assert due(store, NOW + MINUTE) == {
        ("42", ident("accepted")),
        ("42", ident("sending")),
        ("43", ident("waiting", "other")),
    }


def test_what_is_postponed_is_due_again_at_that_time(store: Store) -> None:
    new = store.add(message())
    store.postpone(new, until=NOW + 15 * MINUTE)
    assert due(store, NOW + 15 * MINUTE - 1) == set()
    assert due(store, NOW + 15 * MINUTE) == {("42", M1)}
    assert store.get("42", M1) == new


def test_a_message_that_moved_on_is_not_postponed(store: Store) -> None:
    new = store.add(message())
    ours = claimed(store)
    store.postpone(new, until=NOW + 15 * MINUTE)
    assert due(store, NOW + MINUTE) == {("42", M1)}
    store.finish(settle(ours, NotSent(FAILURE), now=NOW))
    store.postpone(new, until=NOW + 15 * MINUTE)
    assert due(store, NOW + DAY) == set()
    nobody = message("nobody")
    store.add(nobody)
    store.postpone(replace(nobody, expires_at=NOW + 1), until=NOW + DAY)  # another round's
    assert due(store, NOW + MINUTE) == {("42", ident("nobody"))}


def test_a_settled_message_is_due_until_it_is_published(store: Store) -> None:
    store.add(message())
    settled = settle(claimed(store), NotSent(FAILURE), now=NOW)
    store.finish(settled, published=False)
    assert due(store, NOW + MINUTE) == {("42", M1)}
    assert store.get("42", M1) == settled
    store.mark_published(settled)
    store.mark_published(settled)
    assert due(store, NOW + DAY) == set()
    assert store.get("42", M1) == settled


def test_a_reopened_message_is_not_marked_published(store: Store) -> None:
    store.add(message())
    settled = settle(claimed(store), NotSent(FAILURE), now=NOW)
    store.finish(settled, published=False)
    again = replace(settled, status=Status.ACCEPTED, settled_at=0, expires_at=NOW + 40 * MINUTE)
    assert store.reopen(again)
    store.mark_published(settled)
    assert due(store, NOW + MINUTE) == {("42", M1)}


# -- transcript


def test_the_transcript_shows_both_directions_newest_first(store: Store) -> None:
    store.keep(received("e1", NOW))
    store.add(message("m1", accepted_at=NOW + 1))
    store.keep(received("e2", NOW + 2))
    store.keep(received("e2", NOW + 2))
    store.keep(received("e9", NOW + 3, business_id="43"))
    page = store.transcript("42", BUYER, limit=10, cursor=None)
    assert list(page.items) == [
        TranscriptEntry("e2", Direction.RECEIVED, NOW + 2, received("e2").data["message"]),
        TranscriptEntry(
            ident(at=NOW + 1), Direction.SENT, NOW + 1, message().content, Status.ACCEPTED
        ),
        TranscriptEntry("e1", Direction.RECEIVED, NOW, received("e1").data["message"]),
    ]
    assert page.next_cursor is None


def test_within_a_second_wechats_own_id_tells_the_order(store: Store) -> None:
    for event_id, wechat_id in (("c", "9"), ("a", "10"), ("b", "22923519871373703")):
        store.keep(received(event_id, NOW, message_id=wechat_id))
    page = store.transcript("42", BUYER, limit=10, cursor=None)
    assert [entry.entry_id for entry in page.items] == ["b", "a", "c"]


def test_the_transcript_pages_to_its_end(store: Store) -> None:
    for number in range(5):
        store.keep(received(f"e{number}", NOW + number // 2))
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = store.transcript("42", BUYER, limit=2, cursor=cursor)
        seen += [entry.entry_id for entry in page.items]
        cursor = page.next_cursor
    assert seen == ["e4", "e3", "e2", "e1", "e0"]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["nonsense", "WyJ4Il0", "WyIxIzQzI2luI2UiXQ", "WzFd"])
def test_a_cursor_that_is_not_ours_is_the_callers_mistake(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        store.transcript("42", BUYER, limit=2, cursor=cursor)


def test_without_retention_no_received_message_is_kept(make_store: MakeStore) -> None:
    store = make_store(retention_days=0)
    store.keep(received())
    assert not store.transcript("42", BUYER, limit=10, cursor=None).items


def test_the_transcript_forgets_at_the_end_of_the_retention(
    make_store: MakeStore, clock: FakeClock
) -> None:
    store = make_store(retention_days=3)
    store.keep(received())
    store.add(message())
    clock.advance(3 * DAY)
    assert not store.transcript("42", BUYER, limit=10, cursor=None).items


# -- promises about the table itself


class Repeating(CountingClient):
    """Does every write twice and shows the second answer, as a retry after a lost one."""

    def update_item(self, **request: Any) -> Any:
        self._client.update_item(**request)
        return self._client.update_item(**request)

    def put_item(self, **request: Any) -> Any:
        self._client.put_item(**request)
        return self._client.put_item(**request)


def test_every_write_recognizes_its_own_earlier_self(
    resources: Resources, dynamodb: Any, clock: FakeClock
) -> None:
    name = resources.table("MessagesTable")
    table = MessagesTable(Repeating(dynamodb), name, 30, clock)
    assert table.bind_key(BINDING) == BINDING
    assert table.add(message()) == message()
    claim = table.claim("42", M1, now=NOW, until=NOW + MINUTE)
    ours = message(status=Status.SENDING, attempts=1, claimed_until=NOW + MINUTE)
    assert claim == Claim(Claimed.OURS, ours)
    late = NOW + MINUTE
    claim = table.claim("42", M1, now=late, until=late + MINUTE)
    taken = replace(ours, claimed_until=late + MINUTE)
    assert claim == Claim(Claimed.ABANDONED, taken)
    assert claim.message is not None
    settled = settle(claim.message, Unknown(FAILURE), now=late)
    table.finish(settled, published=False)
    table.mark_published(settled)
    again = replace(settled, status=Status.ACCEPTED, settled_at=0, expires_at=late + DAY)
    assert table.reopen(again)
    table.postpone(again, until=late + DAY)
    table.keep(received())
    assert len(table.transcript("42", BUYER, limit=10, cursor=None).items) == 2
    assert table.get("42", M1) == again


def test_a_row_of_an_older_version_is_readable(
    resources: Resources, dynamodb: Any, clock: FakeClock
) -> None:
    name = resources.table("MessagesTable")
    row = {"c": {"S": f"42#{BUYER}"}, "s": {"S": M1[:26]}, "x": {"N": str(NOW // 1000 + 60)}}
    dynamodb.put_item(TableName=name, Item=row)
    table = MessagesTable(dynamodb, name, 30, clock)
    found = table.get("42", M1)
    assert found is not None
    assert (found.status, found.content, found.expires_at) == (Status.ACCEPTED, {}, 0)


def test_due_reads_every_page(resources: Resources, dynamodb: Any, clock: FakeClock) -> None:
    class SmallPages(CountingClient):
        def scan(self, **request: Any) -> Any:
            return self._client.scan(**request, Limit=2)

    name = resources.table("MessagesTable")
    table = MessagesTable(SmallPages(dynamodb), name, 30, clock)
    expected = {("42", table.add(message(f"m{n}", openid=f"o{n}")).message_id) for n in range(5)}
    assert set(table.list_due(now=NOW + MINUTE)) == expected


def test_every_item_has_its_end(resources: Resources, dynamodb: Any, clock: FakeClock) -> None:
    name = resources.table("MessagesTable")
    table = MessagesTable(dynamodb, name, 30, clock)
    table.add(message())
    table.keep(received())
    attribute = resources.ttl_attribute("MessagesTable")
    ends = [int(item[attribute]["N"]) for item in dynamodb.scan(TableName=name)["Items"]]
    assert ends == [(NOW + 30 * DAY) // 1000] * 2
