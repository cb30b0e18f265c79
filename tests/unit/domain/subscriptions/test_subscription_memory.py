"""What a worker may know by heart of a subscription, and what it must look up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.fakes import FakeClock, InMemorySubscriptions
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import (
    CachedSubscriptions,
    SubscriptionMemory,
)

ACTIVE = Subscription("42", "s1", Target(TargetType.WEBHOOK, "https://shop.test/hook"))


def test_an_active_one_is_known_for_a_while(clock: FakeClock) -> None:
    store = InMemorySubscriptions()
    store.add(ACTIVE)
    memory = SubscriptionMemory(store, clock, ttl_ms=3_000)
    assert memory.get("42", "s1") == ACTIVE
    store.remove("42", "s1")
    clock.advance(2_999)
    assert memory.get("42", "s1") == ACTIVE
    clock.advance(1)
    assert memory.get("42", "s1") is None


@pytest.mark.parametrize("status", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_one_that_is_active_again_is_so_at_once(
    clock: FakeClock, status: SubscriptionStatus
) -> None:
    store = InMemorySubscriptions()
    store.add(replace(ACTIVE, status=status))
    memory = SubscriptionMemory(store, clock)
    assert memory.get("42", "s1") == replace(ACTIVE, status=status)
    store.add(ACTIVE)
    assert memory.get("42", "s1") == ACTIVE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class FailingSubscriptions(InMemorySubscriptions):
    """Counts the reads of lists; `down` makes them fail."""

    down = False
    reads = 0

    def list(self, business_id: str) -> Sequence[Subscription]:
        self.reads += 1
        if self.down:
            raise UnavailableError("DynamoDB does not answer")
        return super().list(business_id)


def test_a_table_that_is_down_leaves_the_old_lists_in_use_for_five_minutes(
    clock: FakeClock,
) -> None:
    store = FailingSubscriptions()
    store.add(ACTIVE)
    cached = CachedSubscriptions(store, clock)
    cached.list("42")
    cached.list("*")  # empty, and known to be so
    store.down = True
    clock.advance(5 * MINUTE - 1)
    assert [one.subscription_id for one in cached.list("42")] == ["s1"]
    assert list(cached.list("*")) == []
    clock.advance(1)
    with pytest.raises(UnavailableError):
        cached.list("42")


def test_a_list_is_read_every_five_seconds_and_an_empty_one_each_time(clock: FakeClock) -> None:
    store = FailingSubscriptions()
    store.add(ACTIVE)
    cached = CachedSubscriptions(store, clock)
    for _ in range(3):
        assert len(cached.list("42")) == 1
    assert store.reads == 1
    for _ in range(3):
        assert list(cached.list("*")) == []
    assert store.reads == 4
    clock.advance(5 * SECOND)
    cached.list("42")
    assert store.reads == 5


def test_a_table_that_is_down_is_asked_every_five_seconds_only(clock: FakeClock) -> None:
    store = FailingSubscriptions()
    store.add(ACTIVE)
    cached = CachedSubscriptions(store, clock)
    cached.list("42")
    store.down, store.reads = True, 0
    clock.advance(10 * SECOND)
    for _ in range(10):
        cached.list("42")
    assert store.reads == 1
    clock.advance(5 * SECOND)
    cached.list("42")
    assert store.reads == 2


def test_a_table_that_is_back_is_read_again(clock: FakeClock) -> None:
    store = FailingSubscriptions()
    store.add(ACTIVE)
    cached = CachedSubscriptions(store, clock)
    cached.list("42")
    store.down = True
    clock.advance(MINUTE)
    cached.list("42")
    store.down = False
    store.add(replace(ACTIVE, subscription_id="s2"))
    clock.advance(5 * SECOND)
    assert [one.subscription_id for one in cached.list("42")] == ["s1", "s2"]


def test_an_unknown_list_of_a_table_that_is_down_fails(clock: FakeClock) -> None:
    store = FailingSubscriptions()
    cached = CachedSubscriptions(store, clock)
    store.down = True
    with pytest.raises(UnavailableError):
        cached.list("42")


ERROR = LastError(5, "answered 500", "wechat.kf.message.received")


class CountingSubscriptions(InMemorySubscriptions):
    """Counts the reads of single rows."""

    reads = 0

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        self.reads += 1
        return super().get(business_id, subscription_id)


@pytest.fixture
def store() -> CountingSubscriptions:
    made = CountingSubscriptions()
    made.add(ACTIVE)
    return made


@pytest.fixture
def memory(store: CountingSubscriptions, clock: FakeClock) -> SubscriptionMemory:
    made = SubscriptionMemory(store, clock)
    assert made.get(*ACTIVE.key) == ACTIVE
    return made


def test_it_is_read_every_three_seconds(
    store: CountingSubscriptions, memory: SubscriptionMemory, clock: FakeClock
) -> None:
    store.reads = 0
    clock.advance(3 * SECOND - 1)
    memory.get(*ACTIVE.key)
    assert store.reads == 0
    clock.advance(1)
    memory.get(*ACTIVE.key)
    assert store.reads == 1


def test_a_counted_failure_shows_at_once_and_is_no_news_of_the_rest(
    store: CountingSubscriptions, memory: SubscriptionMemory, clock: FakeClock
) -> None:
    clock.advance(3 * SECOND - 1)
    counted = memory.count_failure(ACTIVE, "e1", ERROR)
    assert counted.circuit.failures == 1
    store.reads = 0
    assert memory.get(*ACTIVE.key) == counted
    assert store.reads == 0
    clock.advance(1)
    memory.get(*ACTIVE.key)
    assert store.reads == 1


def test_a_moved_circuit_shows_at_once(memory: SubscriptionMemory) -> None:
    opened = Circuit(failures=5, open_until=9)
    assert memory.move_circuit(ACTIVE, opened) == replace(ACTIVE, circuit=opened)
    found = memory.get(*ACTIVE.key)
    assert found is not None
    assert found.circuit == opened


def test_the_last_error_is_written(
    store: CountingSubscriptions, memory: SubscriptionMemory
) -> None:
    memory.note_failure(ACTIVE, ERROR)
    found = store.get(*ACTIVE.key)
    assert found is not None
    assert found.last_error == ERROR


def test_a_failure_of_one_that_is_gone_counts_nowhere(
    store: CountingSubscriptions, memory: SubscriptionMemory
) -> None:
    store.remove(*ACTIVE.key)
    assert memory.count_failure(ACTIVE, "e1", ERROR) == ACTIVE
    assert memory.get(*ACTIVE.key) is None


@pytest.mark.parametrize("change", ["lost circuit", "slow", "update", "forget"])
def test_after_a_change_the_row_is_read_again(
    store: CountingSubscriptions, memory: SubscriptionMemory, change: str
) -> None:
    if change == "lost circuit":
        store.move_circuit(ACTIVE, Circuit(open_until=7))  # by a rival
        assert memory.move_circuit(ACTIVE, Circuit(open_until=9)) is None
    elif change == "slow":
        memory.mark_slow(ACTIVE, 5)
    elif change == "update":
        memory.update(replace(ACTIVE, status=SubscriptionStatus.PAUSED))
    else:
        store.change(ACTIVE.key, slow_until=3)
        memory.forget(ACTIVE)
    found = memory.get(*ACTIVE.key)
    assert found == store.get(*ACTIVE.key)
    assert found != ACTIVE
