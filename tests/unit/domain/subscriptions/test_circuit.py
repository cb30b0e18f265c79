"""The circuit breaker's state, step by step."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis.strategies import integers

from wechat_kf.domain.clock import HOUR, MINUTE, SECOND
from wechat_kf.domain.subscriptions.circuit import HOPELESS_AFTER_MS, TRIP_AFTER, Circuit

NOW = 1_767_225_600_000


def failed(times: int, now: int = NOW) -> Circuit:
    circuit = Circuit()
    for _ in range(times):
        circuit = circuit.counted(now)
    return circuit


def test_it_opens_after_a_few_failures_in_a_row() -> None:
    assert not failed(TRIP_AFTER - 1).must_trip(None)
    assert failed(TRIP_AFTER).must_trip(None)


def test_it_opens_at_once_when_the_subscriber_asks_for_a_pause() -> None:
    circuit = failed(1)
    assert circuit.must_trip(HOUR)
    assert circuit.tripped(NOW, HOUR).open_until == NOW + HOUR


def test_a_subscribers_wish_counts_if_it_is_longer_and_within_reason() -> None:
    circuit = failed(TRIP_AFTER)
    assert circuit.tripped(NOW, SECOND).open_until == NOW + 5 * SECOND
    assert circuit.tripped(NOW, 1_000 * HOUR).open_until == NOW + 12 * HOUR


def test_an_open_one_does_not_open_again_for_calls_that_were_under_way() -> None:
    assert not failed(TRIP_AFTER).tripped(NOW).counted(NOW).must_trip(HOUR)


def test_each_cool_down_is_twice_as_long_up_to_half_an_hour() -> None:
    circuit, pauses = failed(TRIP_AFTER), []
    for _ in range(12):
        circuit = circuit.tripped(NOW)
        pauses.append(circuit.open_until - NOW)
    assert pauses[:3] == [5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert all(later in (2 * pause, 30 * MINUTE) for pause, later in itertools.pairwise(pauses))
    assert pauses[-1] == 30 * MINUTE


@given(integers(min_value=0, max_value=10**9))
def test_no_number_of_trips_breaks_the_arithmetic(trips: int) -> None:
    assert Circuit(trips=trips).tripped(NOW).open_until <= NOW + 30 * MINUTE


def test_a_claimed_probe_keeps_the_others_waiting_and_is_told_apart_from_what_was_seen() -> None:
    opened = failed(TRIP_AFTER).tripped(NOW)
    probing = opened.probing(opened.open_until)
    assert opened.open_until < probing.open_until <= opened.open_until + MINUTE


def test_a_success_forgets_everything_but_when_an_open_circuit_closed() -> None:
    opened = failed(TRIP_AFTER).tripped(NOW)
    assert opened.recovered(NOW + MINUTE) == Circuit(recovered_at=NOW + MINUTE)
    earlier = Circuit(failures=2, failing_since=NOW, recovered_at=7)
    assert earlier.recovered(NOW + MINUTE) == Circuit(recovered_at=7)


def test_it_is_hopeless_after_a_day_of_nothing_but_failures() -> None:
    day_later = NOW + HOPELESS_AFTER_MS
    assert failed(20).hopeless(day_later)
    assert not failed(20).hopeless(day_later - 1)
    assert not Circuit().hopeless(day_later)


def test_two_failures_a_day_apart_with_nothing_in_between_are_not_hopeless() -> None:
    assert not failed(2).hopeless(NOW + 2 * HOPELESS_AFTER_MS)
