"""One delivery at a time: what it comes to, and what workers learn of the subscriber."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.workplace import HOOK, KEY, Workplace
from wechat_kf.domain.clock import DAY, MINUTE, SECOND
from wechat_kf.domain.events import EventType
from wechat_kf.domain.subscriptions.backlog import Parked
from wechat_kf.domain.subscriptions.circuit import Circuit, suspect_name
from wechat_kf.domain.subscriptions.courier import PostponedError
from wechat_kf.domain.subscriptions.delivery import (
    Deferred,
    DeliveryResult,
    Gone,
    Refused,
)
from wechat_kf.domain.subscriptions.dispatch import Fate
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    SubscriptionStatus,
)


@pytest.fixture
def world() -> Workplace:
    return Workplace()


def test_what_the_subscriber_accepts_is_delivered(world: Workplace) -> None:
    assert world.dispatch.dispatch(world.new()) is Fate.DELIVERED
    assert (world.calls, world.attempts.attempts) == (["e1"], [])


def test_what_nobody_wants_any_more_is_dropped(world: Workplace) -> None:
    delivery = world.new()
    world.store.remove(*KEY)
    assert world.dispatch.dispatch(delivery) is Fate.DROPPED
    assert world.calls == []


@pytest.mark.parametrize("status", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_the_events_of_a_paused_subscription_are_held(
    world: Workplace, status: SubscriptionStatus
) -> None:
    world.change(status=status)
    world.park_for_long()
    assert world.dispatch.dispatch(world.new()) is Fate.HELD
    assert (world.calls, world.woken) == ([], [])
    assert world.backlog.size(KEY).waiting == 1


def test_an_event_behind_a_parked_one_of_its_buyer_is_parked(world: Workplace) -> None:
    world.park_for_long()
    since = world.row.parking_since
    world.backlog.park(Parked.of(world.new(1)), since)
    assert world.dispatch.dispatch(world.new(2)) is Fate.PARKED
    assert world.dispatch.dispatch(world.new(3, "o2")) is Fate.DELIVERED
    assert world.calls == ["e3"]


def test_what_the_drain_delivered_is_not_delivered_again(world: Workplace) -> None:
    """Its worker died after it had parked the event, and the queue hands it out again."""
    world.park_for_long()
    delivery = world.new()
    world.backlog.park(Parked.of(delivery), world.row.parking_since)
    world.backlog.remove(Parked.of(delivery), world.clock())
    assert world.dispatch.dispatch(delivery, repeated=True) is Fate.DELIVERED
    assert world.calls == []


def test_the_events_of_a_slow_subscriber_are_parked_and_drained_at_once(world: Workplace) -> None:
    world.park_for_long()
    world.change(slow_until=world.clock() + 1)
    delivery = world.new()
    assert world.dispatch.dispatch(delivery) is Fate.PARKED
    assert world.woken == [([delivery.lane], "1")]
    world.clock.advance(1)
    assert world.dispatch.dispatch(world.new(2, "o2")) is Fate.DELIVERED


def test_while_slow_and_not_yet_parking_the_backlog_is_opened(world: Workplace) -> None:
    world.change(slow_until=world.clock() + 1)
    opened_at = world.clock()
    assert world.dispatch.dispatch(world.new()) is Fate.DELIVERED
    assert world.row.parking_since == opened_at


# -- slow


@pytest.mark.parametrize(("takes_ms", "slow"), [(1_499, False), (1_500, True)])
def test_three_deliveries_of_a_second_and_a_half_are_slow(
    world: Workplace, takes_ms: int, slow: bool
) -> None:
    world.takes_ms = takes_ms
    for number in range(2):
        world.dispatch.dispatch(world.new(number))
        assert world.row.slow_until == 0
    world.dispatch.dispatch(world.new(2))
    assert world.row.slow_until == (world.clock() + 10 * MINUTE if slow else 0)


def test_slow_ones_further_apart_than_a_minute_say_nothing(world: Workplace) -> None:
    world.takes_ms = 2_000
    for number in range(9):
        world.dispatch.dispatch(world.new(number))
        world.clock.advance(MINUTE // 2)
    assert world.row.slow_until == 0


def test_a_slow_mark_is_renewed_when_half_of_it_is_over(world: Workplace) -> None:
    world.takes_ms = 2_000
    deadline = world.clock() + 5 * MINUTE + 6 * SECOND
    world.change(slow_until=deadline)
    for _ in range(3):
        world.courier.attempt(world.row, world.new())
    assert world.row.slow_until == deadline, "exactly half of it is left"
    world.courier.attempt(world.row, world.new())
    assert world.row.slow_until == world.clock() + 10 * MINUTE


# -- the circuit


def test_one_of_two_workers_is_the_probe(world: Workplace) -> None:
    now = world.clock()
    seen = replace(HOOK, circuit=Circuit(failures=5, failing_since=1, trips=1, open_until=now))
    world.change(circuit=seen.circuit)
    world.courier.attempt(seen, world.new())
    world.calls.clear()
    with pytest.raises(PostponedError) as postponed:
        world.courier.attempt(seen, world.new(2, "o2"))
    assert (postponed.value.delay_ms, postponed.value.reason) == (10 * SECOND, "circuit open")
    assert world.calls == []


def test_the_fifth_event_that_fails_opens_it_and_a_retry_is_no_fifth(world: Workplace) -> None:
    world.result = Deferred("answered 500", status=500)
    for number in (0, 1, 2, 3, 0, 1, 2, 3):
        world.courier.attempt(world.row, world.new(number))
        assert world.row.circuit.closed
    attempt = world.courier.attempt(world.row, world.new(4))
    assert attempt.circuit == world.row.circuit
    assert world.row.circuit.open_until == world.clock() + 5 * SECOND
    assert world.row.last_error == LastError(
        world.clock(), "answered 500", EventType.MESSAGE_RECEIVED
    )


@pytest.mark.parametrize(
    ("result", "known", "pause_ms"),
    [
        (Refused("answered 422"), False, 5 * SECOND),
        (Deferred("answered 500"), True, 5 * SECOND),
        (Deferred("answered 500"), False, 20 * SECOND),
    ],
    ids=["refused", "failed before", "fails first"],
)
def test_only_a_fault_that_is_new_keeps_it_open_for_longer(
    world: Workplace, result: DeliveryResult, known: bool, pause_ms: int
) -> None:
    now = world.clock()
    suspects = (suspect_name("e1"),) if known else ()
    world.change(
        circuit=Circuit(
            failures=5, failing_since=now, trips=2, open_until=now - MINUTE, suspects=suspects
        )
    )
    world.result = result
    attempt = world.courier.attempt(world.row, world.new(1))
    assert attempt.circuit == world.row.circuit
    assert world.row.circuit.open_until == world.clock() + pause_ms
    assert world.row.last_error is not None


def test_an_open_circuit_lets_nothing_pass(world: Workplace) -> None:
    world.change(circuit=Circuit(failures=5, trips=1, open_until=world.clock() + 7))
    with pytest.raises(PostponedError) as postponed:
        world.courier.attempt(world.row, world.new())
    assert (postponed.value.delay_ms, world.calls) == (7, [])


def test_a_success_closes_it(world: Workplace) -> None:
    world.change(circuit=Circuit(failures=5, failing_since=1, trips=1, open_until=world.clock()))
    world.courier.attempt(world.row, world.new())
    assert world.row.circuit == Circuit(recovered_at=world.clock())


@pytest.mark.parametrize(("failing_for", "stops"), [(DAY - 1, []), (DAY, ["paused"])])
def test_a_day_of_faults_pauses_and_notifies_the_main_account_of_what_all_share(
    world: Workplace, failing_for: int, stops: list[str]
) -> None:
    everyone = replace(HOOK, business_id="*", subscription_id="all")
    world.store.add(replace(everyone, circuit=Circuit(failures=5, failing_since=world.clock())))
    world.clock.advance(failing_for - world.takes_ms)
    world.result = Deferred("timed out")
    seen = world.store.get(*everyone.key)
    assert seen
    world.courier.attempt(seen, world.new())
    assert [str(one.status) for one in world.stops] == stops
    assert [(one.business_id, one.data["business_id"]) for one in world.events.events.values()] == [
        ("0", "*") for _ in stops
    ]


def test_a_stop_is_reported_and_published_before_it_is_written(world: Workplace) -> None:
    world.result = Gone("answered 410", status=410)
    world.courier.attempt(world.row, world.new(1))
    world.clock.advance(MINUTE)
    world.courier.attempt(world.row, world.new(2))
    assert [one.status for one in world.stops] == [SubscriptionStatus.DISABLED]
    (event,) = world.events.events.values()
    assert event.data["reason"] == world.row.status_reason == "answered 410"
    assert world.row.status is SubscriptionStatus.DISABLED


def test_without_an_answer_there_is_no_status(world: Workplace) -> None:
    for result in (Deferred("no connection"), Refused("wrong target")):
        world.result = result
        world.courier.attempt(world.row, world.new())
    assert [(one.status, one.took_ms) for _, one in world.attempts.attempts] == [(0, 50), (0, 50)]
