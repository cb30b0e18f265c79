"""What every `BacklogStore` does, in memory and in DynamoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.fake_backlog import InMemoryBacklog
from tests.fakes import FakeClock, InMemorySubscriptions, RecordingAttempts
from wechat_kf.adapters.aws.attempts_table import MOST_A_MINUTE, AttemptsTable
from wechat_kf.adapters.aws.backlog_table import BacklogTable
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.clock import DAY, HOUR, MINUTE
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import BacklogSize, BacklogStore, Parked
from wechat_kf.domain.subscriptions.delivery import (
    RETENTION_MS,
    AttemptLog,
    Delivery,
    FailedAttempt,
    lane_of,
)
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStore,
    Target,
    TargetType,
)

KEY = ("42", "sub_1")
NOW = 1_767_225_600_000
SUBSCRIPTION = Subscription(*KEY, Target(TargetType.WEBHOOK, "https://shop.example/"))


@dataclass
class Stores:
    backlog: BacklogStore
    subscriptions: SubscriptionStore

    @property
    def parking_since(self) -> int:
        found = self.subscriptions.get(*KEY)
        assert found
        return found.parking_since

    def opened(self) -> BacklogStore:
        self.subscriptions.add(SUBSCRIPTION)
        self.backlog.open(KEY, NOW)
        return self.backlog


@pytest.fixture(params=["fake", "real"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "fake":
        subscriptions = InMemorySubscriptions()
        return Stores(InMemoryBacklog(subscriptions), subscriptions)
    resources: Resources = request.getfixturevalue("resources")
    rows, table = resources.table("SubscriptionsTable"), resources.table("BacklogTable")
    client = resources.dynamodb
    return Stores(BacklogTable(client, table, rows), SubscriptionsTable(client, rows))


@pytest.fixture
def backlog(stores: Stores) -> BacklogStore:
    return stores.opened()


def parked(number: int, openid: str = "o1", *, queued_at: int = NOW, **members: Any) -> Parked:
    event = Event(f"{number:064x}", EventType.MESSAGE_RECEIVED, "wx1", "42", openid, NOW, {"n": 1})
    return replace(Parked.of(Delivery(*KEY, event, queued_at, str(number))), **members)


def park_all(backlog: BacklogStore, *events: Parked) -> None:
    for one in events:
        assert backlog.park(one, NOW) is True


def lane(openid: str = "o1") -> str:
    return lane_of(KEY[1], openid)


def test_parking_begins_once(stores: Stores) -> None:
    stores.subscriptions.add(SUBSCRIPTION)
    assert stores.parking_since == 0
    assert list(stores.backlog.parked_subscriptions()) == []
    stores.backlog.open(KEY, NOW)
    stores.backlog.open(KEY, NOW + 5)
    assert stores.parking_since == NOW
    assert list(stores.backlog.parked_subscriptions()) == [KEY]


def test_nothing_is_parked_for_a_subscription_that_does_not_exist(stores: Stores) -> None:
    stores.backlog.open(KEY, NOW)
    assert list(stores.backlog.parked_subscriptions()) == []
    assert stores.backlog.park(parked(1), NOW) is False


def test_only_while_parking_is_on_since_then_an_event_is_parked(stores: Stores) -> None:
    stores.subscriptions.add(SUBSCRIPTION)
    assert stores.backlog.park(parked(1), NOW) is False
    stores.backlog.open(KEY, NOW)
    assert stores.backlog.park(parked(1), NOW - 1) is False
    assert stores.backlog.head(KEY, lane()) is None
    assert stores.backlog.park(parked(1), NOW) is True
    assert stores.backlog.head(KEY, lane()) == parked(1)


def test_a_repeated_parking_counts_once(backlog: BacklogStore) -> None:
    park_all(backlog, parked(1), parked(1))
    assert backlog.size(KEY) == BacklogSize(waiting=1, oldest=NOW)


def test_the_head_of_a_lane_is_its_first_in_the_queues_order(backlog: BacklogStore) -> None:
    events = [parked(number) for number in (9, 10, 100)]
    park_all(backlog, events[2], events[0], parked(1, "o2"), events[1])
    for one in events:
        assert backlog.holds(KEY, lane()) is True
        assert backlog.head(KEY, lane()) == one
        backlog.remove(one, NOW)
    assert backlog.holds(KEY, lane()) is False
    assert backlog.head(KEY, lane("o2")) == parked(1, "o2")


def test_a_removal_counts_once(backlog: BacklogStore) -> None:
    park_all(backlog, parked(1), parked(2))
    backlog.remove(parked(1), NOW)
    backlog.remove(parked(1), NOW)
    assert backlog.size(KEY).waiting == 1


def test_what_was_delivered_from_the_backlog_is_remembered(backlog: BacklogStore) -> None:
    park_all(backlog, parked(1), parked(2))
    assert backlog.is_done(parked(1).delivery) is False
    backlog.remove(parked(1), NOW)
    assert backlog.is_done(parked(1).delivery) is True
    backlog.bury(parked(2), "expired", NOW)
    assert backlog.is_done(parked(2).delivery) is False


def test_parking_ends_only_when_nothing_waits(stores: Stores) -> None:
    backlog = stores.opened()
    park_all(backlog, parked(1), parked(2, "o2"))
    assert backlog.close(KEY) is False
    backlog.remove(parked(1), NOW)
    assert backlog.close(KEY) is False
    assert stores.parking_since == NOW
    backlog.remove(parked(2, "o2"), NOW)
    assert backlog.close(KEY) is True
    assert stores.parking_since == 0
    assert list(backlog.parked_subscriptions()) == []
    assert backlog.park(parked(3), NOW) is False
    backlog.open(KEY, NOW + 1)
    assert stores.parking_since == NOW + 1


def test_parking_does_not_end_while_a_recovery_is_asked_for(stores: Stores) -> None:
    backlog = stores.opened()
    backlog.ask_recovery(KEY, NOW)
    assert backlog.close(KEY) is False
    assert backlog.revive(KEY, NOW, 10) is False
    assert backlog.close(KEY) is True


def test_attempts_are_noted_and_what_is_gone_stays_gone(backlog: BacklogStore) -> None:
    park_all(backlog, parked(1))
    tried = parked(1).note_attempt(NOW + 5, refused=True)
    assert (tried.tried_since, tried.tried_at, tried.refused_since) == (NOW + 5,) * 3
    backlog.note(tried)
    assert backlog.head(KEY, lane()) == tried
    backlog.remove(tried, NOW)
    backlog.note(tried)
    assert backlog.head(KEY, lane()) is None


def test_the_heads_of_all_lanes_are_listed_in_pages(backlog: BacklogStore) -> None:
    for number in range(30):
        park_all(backlog, parked(number, f"o{number % 5}"))
    backlog.note(parked(0, "o0").note_attempt(NOW + 7, refused=False))
    whole, end = backlog.heads(KEY, "", 100)
    assert end is None
    assert [place.lane for place in whole] == sorted(lane(f"o{n}") for n in range(5))
    assert {place.event_id for place in whole} == {f"{n:064x}" for n in range(5)}
    assert {place.tried_at for place in whole} == {0, NOW + 7}
    found: list[Any] = []
    after: str | None = ""
    while after is not None:
        page, after = backlog.heads(KEY, after, 2)
        found += page
    assert found == list(whole)


def test_what_has_waited_for_a_day_is_listed_oldest_first(backlog: BacklogStore) -> None:
    old, older = parked(1, queued_at=NOW - DAY), parked(2, "o2", queued_at=NOW - DAY - 5)
    park_all(backlog, old, older, parked(3))
    assert list(backlog.expired(KEY, NOW - 1, 10)) == [older]
    assert list(backlog.expired(KEY, NOW, 10)) == [older, old]
    assert list(backlog.expired(KEY, NOW, 1)) == [older]
    assert backlog.size(KEY) == BacklogSize(waiting=3, oldest=NOW - DAY - 5)


def test_what_is_dead_waits_no_more_and_counts_as_dead(backlog: BacklogStore) -> None:
    park_all(backlog, parked(1), parked(2))
    backlog.bury(parked(1), "expired", NOW)
    backlog.bury(parked(1), "expired", NOW)
    assert backlog.head(KEY, lane()) == parked(2)
    assert backlog.size(KEY) == BacklogSize(waiting=1, oldest=NOW, dead=1)
    assert list(backlog.expired(KEY, NOW + DAY, 10)) == [parked(2)]


def test_the_dead_of_a_time_are_revived_before_what_came_later(stores: Stores) -> None:
    backlog = stores.opened()
    ages = {1: NOW - 3 * HOUR, 2: NOW - 2 * HOUR, 3: NOW - HOUR}
    dead = [parked(n, queued_at=at).note_attempt(NOW, refused=True) for n, at in ages.items()]
    park_all(backlog, *dead, parked(4))
    for one in dead:
        backlog.bury(one, "answered 400", NOW)
    backlog.ask_recovery(KEY, NOW - 2 * HOUR)
    assert backlog.revive(KEY, NOW + 5, 1) is True
    assert backlog.revive(KEY, NOW + 5, 10) is True
    assert backlog.revive(KEY, NOW + 5, 10) is False
    assert backlog.size(KEY).dead == 1
    for number in (2, 3):
        head = backlog.head(KEY, lane())
        assert head == parked(number, queued_at=ages[number], expires_at=NOW + 5 + RETENTION_MS)
        backlog.remove(head, NOW)
    assert backlog.head(KEY, lane()) == parked(4)


def test_the_backlog_of_a_removed_subscription_is_dropped(stores: Stores) -> None:
    backlog = stores.opened()
    for number in range(60):
        park_all(backlog, parked(number, f"o{number}"))
    backlog.bury(parked(0, "o0"), "expired", NOW)
    stores.subscriptions.remove(*KEY)
    backlog.drop(KEY)
    assert backlog.size(KEY) == BacklogSize()
    assert list(backlog.parked_subscriptions()) == []
    assert backlog.park(parked(1), NOW) is False


def test_parkings_at_once_are_all_counted(stores: Stores) -> None:
    backlog = stores.opened()
    events = [parked(number, f"o{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda one: backlog.park(one, NOW), events))
    assert backlog.size(KEY).waiting == 40
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: backlog.remove(one, NOW), events))
    assert backlog.close(KEY) is True


def test_every_buyers_words_come_back(backlog: BacklogStore) -> None:
    odd = replace(parked(1).delivery.event, data={"text": "\x00\ud800 你好 \U0001f600 ]]>"})
    one = replace(parked(1), delivery=replace(parked(1).delivery, event=odd))
    park_all(backlog, one)
    assert backlog.head(KEY, lane()) == one


# -- failed attempts


@pytest.fixture(params=["fake", "real"])
def attempts(request: pytest.FixtureRequest, clock: FakeClock) -> AttemptLog:
    if request.param == "fake":
        return RecordingAttempts()
    resources: Resources = request.getfixturevalue("resources")
    return AttemptsTable(resources.dynamodb, resources.table("BacklogTable"), clock)


def failed(at: int) -> FailedAttempt:
    return FailedAttempt(at, "e1", "wechat.kf.message.received", "answered 500", 500, 12, "oops")


def test_the_latest_attempts_come_first(attempts: AttemptLog) -> None:
    for number in range(5):
        attempts.add(KEY, failed(NOW + number))
    attempts.add(("42", "sub_2"), failed(NOW))
    assert list(attempts.latest(KEY, 3)) == [failed(NOW + n) for n in (4, 3, 2)]
    assert len(attempts.latest(KEY, 50)) == 5


def test_a_flood_of_failures_writes_few_attempts(resources: Resources, clock: FakeClock) -> None:
    table = AttemptsTable(resources.dynamodb, resources.table("BacklogTable"), clock)
    for number in range(3 * MOST_A_MINUTE):
        table.add(KEY, failed(NOW + number))
    assert len(table.latest(KEY, 1_000)) == MOST_A_MINUTE
    clock.advance(MINUTE)
    table.add(KEY, failed(NOW + MINUTE))
    assert table.latest(KEY, 1)[0].at == NOW + MINUTE
