"""What every `ConversationStore` does."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import InMemoryConversations
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.dynamo import cursor as encode_cursor
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.messages.conversations import Conversation
from wechat_kf.domain.messages.ports import ConversationStore


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> ConversationStore:
    if request.param == "fake":
        return InMemoryConversations()
    resources: Resources = request.getfixturevalue("resources")
    return ConversationsTable(resources.dynamodb, resources.table("ConversationsTable"))


def test_a_buyer_who_never_acted_has_no_conversation(store: ConversationStore) -> None:
    store.record_message("42", "buyer", 1_000)
    assert store.get("42", "other") is None
    assert store.get("43", "buyer") is None


def test_both_kinds_of_action_are_kept(store: ConversationStore) -> None:
    store.record_entry("42", "buyer", 1_000)
    store.record_message("42", "buyer", 2_000)
    assert store.get("42", "buyer") == Conversation("42", "buyer", 2_000, 1_000)


@pytest.mark.parametrize(
    "reports", list(permutations([("message", 1_000), ("message", 3_000), ("entry", 2_000)]))
)
def test_reports_in_any_order_and_repeated_lead_to_the_same_state(
    store: ConversationStore, reports: tuple[tuple[str, int], ...]
) -> None:
    for kind, at in reports + reports:
        record = store.record_message if kind == "message" else store.record_entry
        record("42", "buyer", at)
    assert store.get("42", "buyer") == Conversation("42", "buyer", 3_000, 2_000)
    page = store.recent("42", limit=10, cursor=None)
    assert [one.active_at for one in page.items] == [3_000]


def test_recent_lists_a_merchants_own_the_last_active_first(store: ConversationStore) -> None:
    for openid, at in (("a", 1), ("b", 3), ("c", 2), ("d", 2)):
        store.record_message("42", openid, at * MINUTE)
    store.record_message("43", "z", 9 * MINUTE)
    store.record_entry("42", "a", 4 * MINUTE)
    store.record_message("42", "b", MINUTE // 2)  # late news do not move it
    first = store.recent("42", limit=2, cursor=None)
    assert [one.openid for one in first.items] == ["a", "b"]
    second = store.recent("42", limit=3, cursor=first.next_cursor)
    assert {one.openid for one in second.items} == {"c", "d"}
    assert second.next_cursor is None


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", encode_cursor("a"), encode_cursor("a", -1), encode_cursor("a", 10**40)],
)
def test_a_cursor_that_is_not_ours_is_the_callers_mistake(
    store: ConversationStore, cursor: str
) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        store.recent("42", limit=2, cursor=cursor)


def test_a_cursor_does_not_lead_to_another_merchant(store: ConversationStore) -> None:
    for number in range(3):
        store.record_message("42", f"buyer-{number}", 1_000 + number)
        store.record_message("43", f"other-{number}", 1_000 + number)
    cursor = store.recent("42", limit=1, cursor=None).next_cursor
    page = store.recent("43", limit=10, cursor=cursor)
    assert all(one.business_id == "43" for one in page.items)


@pytest.mark.parametrize(
    ("before", "report", "writes"),
    [
        ([], ("message", 1_000), 1),
        ([("message", 1_000)], ("message", 2_000), 1),
        ([("entry", 1_000)], ("message", 1_000), 1),
        ([("message", 1_000)], ("message", 1_000), 1),
        ([("entry", 3_000)], ("message", 2_000), 1),
        ([("entry", MINUTE)], ("message", 2_000), 2),
    ],
    ids=["first", "next", "other kind", "repeat", "out of order", "an earlier minute"],
)
def test_a_report_is_one_write_unless_it_comes_late(
    resources: Resources,
    dynamodb: Any,
    before: list[tuple[str, int]],
    report: tuple[str, int],
    writes: int,
) -> None:
    client = CountingClient(dynamodb)
    table = ConversationsTable(client, resources.table("ConversationsTable"))
    for kind, at in before:
        getattr(table, f"record_{kind}")("42", "buyer", at)
    client.calls.clear()
    getattr(table, f"record_{report[0]}")("42", "buyer", report[1])
    assert client.calls == {"update_item": writes}


def test_a_conversation_ends_90_days_after_its_last_action(
    resources: Resources, dynamodb: Any
) -> None:
    name = resources.table("ConversationsTable")
    ConversationsTable(dynamodb, name).record_message("42", "buyer", 1_767_225_600_000)
    item = dynamodb.get_item(
        TableName=name, Key={"business_id": {"S": "42"}, "openid": {"S": "buyer"}}
    )["Item"]
    ends = int(item[resources.ttl_attribute("ConversationsTable")]["N"])
    assert ends == 1_767_225_600 + 90 * 86_400


BUYERS = [f"buyer{number}" for number in range(100)]


def test_the_known_buyers_are_those_who_acted(store: InMemoryConversations) -> None:
    store.record_message("42", "buyer7", 1_000)
    store.record_entry("42", "buyer9", 1_000)
    store.record_message("43", "buyer8", 1_000)
    assert store.find_known("42", BUYERS) == {"buyer7", "buyer9"}


def reserve(store: InMemoryConversations, event_id: str, *, now: int, openid: str = "b") -> bool:
    """Reserve a greeting that needs 100 ms of silence and comes once in 1 000 ms."""
    event = Event(event_id, EventType.SESSION_ENTERED, "wx1", "42", openid, now, {})
    return store.reserve_greeting(
        event, now=now, silent_since=now - 100, ungreeted_since=now - 1_000
    )


def test_a_greeting_is_reserved_once_in_a_while(store: InMemoryConversations) -> None:
    store.record_entry("42", "b", 5_000)
    assert reserve(store, "e1", now=5_000)
    assert not reserve(store, "e2", now=5_999)
    assert reserve(store, "e3", now=6_000)


def test_a_reserved_greeting_can_be_reserved_again_by_its_own_event(
    store: InMemoryConversations,
) -> None:
    store.record_entry("42", "b", 5_000)
    assert reserve(store, "e1", now=5_000)
    store.record_message("42", "b", 5_001)
    assert reserve(store, "e1", now=5_002)


def test_a_buyer_who_wrote_lately_is_not_greeted(store: InMemoryConversations) -> None:
    store.record_message("42", "b", 5_000)
    assert not reserve(store, "e1", now=5_099)
    assert reserve(store, "e1", now=5_100)


def test_a_greeting_leaves_the_conversation_as_it_is(store: InMemoryConversations) -> None:
    store.record_entry("42", "b", 5_000)
    reserve(store, "e1", now=6_000)
    assert store.get("42", "b") == Conversation("42", "b", 0, 5_000)


def test_a_buyer_without_a_conversation_is_not_greeted(store: InMemoryConversations) -> None:
    assert not reserve(store, "e1", now=5_000)
    assert store.get("42", "b") is None


def test_a_list_is_read_once_however_long_it_is(resources: Resources, dynamodb: Any) -> None:
    client = CountingClient(dynamodb)
    table = ConversationsTable(client, resources.table("ConversationsTable"))
    assert table.recent("42", limit=50, cursor=None).items == []
    assert client.calls == {"query": 1}
    for number in range(50):
        table.record_message("42", f"buyer-{number}", number * MINUTE + 1)
    client.calls.clear()
    assert len(table.recent("42", limit=50, cursor=None).items) == 50
    assert client.calls == {"query": 1, "batch_get_item": 1}


def test_the_last_action_within_a_minute_comes_first(store: ConversationStore) -> None:
    store.record_message("42", "a", 10 * MINUTE + 1)
    store.record_message("42", "b", 10 * MINUTE + 3)
    store.record_message("42", "c", 10 * MINUTE + 2)
    page = store.recent("42", limit=10, cursor=None)
    assert [one.openid for one in page.items] == ["b", "c", "a"]
