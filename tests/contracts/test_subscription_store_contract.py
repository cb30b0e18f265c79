"""What every `SubscriptionStore` does, and the fan-out's memory of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.counting import CountingClient
from tests.fakes import FakeClock, InMemorySubscriptions
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.subscriptions.circuit import MOST_SUSPECTS, Circuit, suspect_name
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionStatus,
    SubscriptionStore,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import CachedSubscriptions

WEBHOOK = Subscription(
    business_id="42",
    subscription_id="s1",
    target=Target(TargetType.WEBHOOK, "https://shop.example.test/hook?a=1"),
    event_types=frozenset({"wechat.kf.message.received", "wechat.kf.message.sent"}),
    created_at=1_767_225_600_000,
    secrets=("whsec_current", "whsec_previous"),
    previous_secret_until=1_767_225_700_000,
    status_reason="",
)
QUEUE = Subscription(
    "*",
    "s2",
    Target(TargetType.QUEUE, "https://sqs.example.test/1/q"),
    status=SubscriptionStatus.PAUSED,
    status_reason="failing: 500",
    revision=3,
    circuit=Circuit(
        failures=7,
        failing_since=1,
        trips=2,
        open_until=3,
        recovered_at=4,
        suspects=("a", "b"),
        gone_since=5,
        gone_event="c",
    ),
)
KEY = ("42", "s1")


def error(at: int, reason: str = "answered 500") -> LastError:
    return LastError(at, reason, "wechat.kf.message.received")


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> SubscriptionStore:
    if request.param == "fake":
        return InMemorySubscriptions()
    resources: Resources = request.getfixturevalue("resources")
    return SubscriptionsTable(resources.dynamodb, resources.table("SubscriptionsTable"))


@pytest.mark.parametrize("subscription", [WEBHOOK, QUEUE])
def test_a_subscription_comes_back_as_it_was(
    store: SubscriptionStore, subscription: Subscription
) -> None:
    store.add(subscription)
    assert store.get(subscription.business_id, subscription.subscription_id) == subscription


def test_a_subscription_is_found_under_its_own_merchant_only(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    assert store.get("43", "s1") is None
    assert store.get("42", "s2") is None


def test_a_list_has_a_merchants_own_without_secrets(store: SubscriptionStore) -> None:
    second = replace(WEBHOOK, subscription_id="s0", event_types=frozenset())
    for subscription in (WEBHOOK, QUEUE, second):
        store.add(subscription)
    assert list(store.list("42")) == [replace(second, secrets=()), replace(WEBHOOK, secrets=())]
    assert list(store.list("*")) == [QUEUE]
    assert list(store.list("43")) == []


def test_a_removed_subscription_is_gone(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    assert store.remove("42", "s1") is True
    assert store.get("42", "s1") is None
    assert store.remove("42", "s1") is False


def test_an_update_writes_everything_but_the_circuit_and_the_next_revision(
    store: SubscriptionStore,
) -> None:
    store.add(WEBHOOK)
    changed = replace(
        WEBHOOK,
        target=Target(TargetType.EVENT_BUS, "bus"),
        event_types=frozenset(),
        status=SubscriptionStatus.DISABLED,
        status_reason="gone",
        secrets=("whsec_next",),
        previous_secret_until=5,
    )
    assert store.update(replace(changed, circuit=Circuit(failures=9))) is True
    assert store.get("42", "s1") == replace(changed, revision=1)


def test_an_update_of_an_older_revision_writes_nothing(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    assert store.update(replace(WEBHOOK, status=SubscriptionStatus.PAUSED)) is True
    assert store.update(replace(WEBHOOK, status=SubscriptionStatus.DISABLED)) is False
    paused = store.get("42", "s1")
    assert paused is not None
    assert paused.status is SubscriptionStatus.PAUSED
    assert store.update(replace(paused, status=SubscriptionStatus.ACTIVE)) is True


def test_failures_are_counted_from_the_first_and_leave_the_revision(
    store: SubscriptionStore,
) -> None:
    store.add(WEBHOOK)
    names = tuple(map(suspect_name, ("e1", "e2")))
    once = Circuit(failures=1, failing_since=1_000, suspects=names[:1])
    assert store.count_failure(KEY, "e1", error(1_000)) == once
    counted = Circuit(failures=2, failing_since=1_000, suspects=names)
    assert store.count_failure(KEY, "e2", error(2_000)) == counted
    assert store.get("42", "s1") == replace(WEBHOOK, circuit=counted, last_error=error(2_000))


def test_an_event_that_fails_again_is_not_counted_again(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    once = store.count_failure(KEY, "e1", error(1_000))
    assert store.count_failure(KEY, "e1", error(2_000, "timed out")) == once
    found = store.get("42", "s1")
    assert found is not None
    assert (found.circuit, found.last_error) == (once, error(2_000, "timed out"))


def test_some_of_the_latest_suspects_are_remembered_and_all_failures_counted(
    store: SubscriptionStore,
) -> None:
    store.add(WEBHOOK)
    most = 3 * MOST_SUSPECTS
    circuit = None
    for number in range(most):
        circuit = store.count_failure(KEY, f"e{number}", error(1_000))
    assert circuit is not None
    assert circuit.failures == most
    assert MOST_SUSPECTS // 2 <= len(circuit.suspects) <= MOST_SUSPECTS
    assert all(circuit.knows(f"e{number}") for number in range(most - 10, most))


def test_suspects_outlive_a_recovery(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    counted = store.count_failure(KEY, "e1", error(1_000))
    assert counted is not None
    assert store.move_circuit(replace(WEBHOOK, circuit=counted), Circuit(recovered_at=9)) is True
    found = store.get("42", "s1")
    assert found is not None
    assert found.circuit == Circuit(recovered_at=9, suspects=counted.suspects)


def test_a_last_error_and_slowness_are_noted(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    store.note_failure(KEY, error(7, "answered 400"))
    store.mark_slow(KEY, 99)
    noted = replace(WEBHOOK, last_error=error(7, "answered 400"), slow_until=99)
    assert store.get("42", "s1") == noted
    assert store.update(replace(WEBHOOK, status=SubscriptionStatus.PAUSED)) is True
    found = store.get("42", "s1")
    assert found is not None
    assert (found.last_error, found.slow_until) == (noted.last_error, 99)


def test_failures_counted_at_once_are_all_counted(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.count_failure(KEY, f"e{n}", error(1_000)), range(8)))
    counted = store.get("42", "s1")
    assert counted is not None
    assert counted.circuit.failures == 8


def test_the_circuit_opens_and_closes(store: SubscriptionStore) -> None:
    store.add(WEBHOOK)
    opened = Circuit(failures=5, failing_since=1_000, trips=1, open_until=9_000)
    assert store.move_circuit(WEBHOOK, opened) is True
    assert store.get("42", "s1") == replace(WEBHOOK, circuit=opened)
    closed = Circuit(recovered_at=9_500)
    assert store.move_circuit(replace(WEBHOOK, circuit=opened), closed) is True
    assert store.get("42", "s1") == replace(WEBHOOK, circuit=closed)
    assert store.count_failure(KEY, "e1", error(10_000)) == replace(
        closed, failures=1, failing_since=10_000, suspects=(suspect_name("e1"),)
    )


@pytest.mark.parametrize("stands_at", [0, 9_000])
def test_of_many_who_move_the_circuit_at_once_one_does(
    store: SubscriptionStore, stands_at: int
) -> None:
    standing = replace(WEBHOOK, circuit=Circuit(open_until=stands_at))
    store.add(standing)
    with ThreadPoolExecutor(8) as pool:
        moved = list(
            pool.map(
                lambda number: store.move_circuit(standing, Circuit(open_until=20_000 + number)),
                range(8),
            )
        )
    assert sorted(moved) == [False] * 7 + [True]


def test_nothing_brings_a_removed_subscription_back(store: SubscriptionStore) -> None:
    assert store.update(WEBHOOK) is False
    assert store.count_failure(KEY, "e1", error(1_000)) is None
    store.note_failure(KEY, error(1))
    store.mark_slow(KEY, 1)
    assert store.move_circuit(WEBHOOK, Circuit(open_until=1)) is False
    assert store.get("42", "s1") is None


class AnswerLost(CountingClient):
    """Writes, and then fails: as when the answer is lost, and botocore repeats the write."""

    def update_item(self, **request: Any) -> Any:
        self._client.update_item(**request)
        return self._client.update_item(**request)


def test_a_repeat_of_our_own_update_is_ours(resources: Resources, dynamodb: Any) -> None:
    name = resources.table("SubscriptionsTable")
    SubscriptionsTable(dynamodb, name).add(WEBHOOK)
    rotated = replace(WEBHOOK, secrets=("whsec_new", "whsec_current"))
    assert SubscriptionsTable(AnswerLost(dynamodb), name).update(rotated) is True
    assert SubscriptionsTable(dynamodb, name).get("42", "s1") == replace(rotated, revision=1)


def test_a_list_never_reads_secrets(resources: Resources, dynamodb: Any) -> None:
    answers: list[Any] = []

    class Recording(CountingClient):
        def query(self, **request: Any) -> Any:
            answers.append(dynamodb.query(**request))
            return answers[-1]

    table = SubscriptionsTable(Recording(dynamodb), resources.table("SubscriptionsTable"))
    table.add(WEBHOOK)
    table.list("42")
    assert len(answers[0]["Items"]) == 1
    assert "whsec" not in str(answers)


def test_a_cached_list_is_read_again_after_its_time(clock: FakeClock) -> None:
    store = InMemorySubscriptions()
    cached = CachedSubscriptions(store, clock, ttl_ms=5_000)
    assert list(cached.list("42")) == []
    store.add(WEBHOOK)  # the first one counts at once
    assert [one.subscription_id for one in cached.list("42")] == ["s1"]
    store.remove("42", "s1")
    clock.advance(4_999)
    assert [one.subscription_id for one in cached.list("42")] == ["s1"]
    assert list(cached.list("*")) == []
    clock.advance(1)
    assert list(cached.list("42")) == []
