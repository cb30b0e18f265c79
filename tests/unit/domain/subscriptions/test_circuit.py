"""When a circuit opens, closes, and gives a subscription up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.subscriptions.circuit import (
    FIRST_COOL_DOWN_MS,
    GONE_AFTER_MS,
    HOPELESS_AFTER_MS,
    LONGEST_COOL_DOWN_MS,
    LONGEST_RETRY_AFTER_MS,
    PROBE_MS,
    TRIP_AFTER,
    WAY_MS,
    Circuit,
)

NOW = 1_767_225_600_000


def failed(events: int, circuit: Circuit | None = None, now: int = NOW) -> Circuit:
    circuit = circuit or Circuit()
    for number in range(events):
        circuit = circuit.count_failure(f"e{number}", now + number)
    return circuit


def test_five_different_events_open_it() -> None:
    circuit = failed(4)
    assert not circuit.must_trip(None)
    circuit = failed(5)
    assert (circuit.failures, circuit.failing_since) == (5, NOW)
    assert circuit.must_trip(None)
    assert not circuit.trip(NOW).must_trip(None), "it is open"


def test_the_retries_of_one_event_count_once() -> None:
    circuit = Circuit()
    for at in range(100):
        circuit = circuit.count_failure("e1", NOW + at)
    assert (circuit.failures, circuit.failing_since) == (1, NOW)


def test_an_event_that_failed_before_a_recovery_is_no_news_after_it() -> None:
    circuit = failed(TRIP_AFTER).trip(NOW).recover(NOW + 5)
    assert circuit == Circuit(recovered_at=NOW + 5, suspects=circuit.suspects)
    assert failed(TRIP_AFTER, circuit).failures == 0
    assert circuit.count_failure("another", NOW).failures == 1


def test_a_recovery_of_a_closed_circuit_is_none() -> None:
    assert failed(2, Circuit(recovered_at=7)).recover(NOW).recovered_at == 7


def test_so_many_suspects_are_remembered_the_latest() -> None:
    circuit = failed(35)
    assert len(circuit.suspects) == 32
    assert not circuit.knows("e2")
    assert circuit.knows("e3")
    assert circuit.failures == 35


def test_the_cool_down_doubles_and_stays_below_a_minute() -> None:
    circuit, pauses = Circuit(), []
    for _ in range(40):
        circuit = circuit.trip(NOW)
        pauses.append(circuit.open_until - NOW)
    assert pauses[:4] == [5_000, 10_000, 20_000, 40_000]
    assert set(pauses[3:]) == {LONGEST_COOL_DOWN_MS}
    assert LONGEST_COOL_DOWN_MS + PROBE_MS + WAY_MS < MINUTE


@pytest.mark.parametrize(
    ("asked_ms", "pause_ms"),
    [
        (None, FIRST_COOL_DOWN_MS),
        (1, FIRST_COOL_DOWN_MS),
        (MINUTE, MINUTE),
        (LONGEST_RETRY_AFTER_MS, 30 * MINUTE),
        (12 * HOUR, 30 * MINUTE),
    ],
)
def test_a_retry_after_is_honoured_up_to_half_an_hour(asked_ms: int | None, pause_ms: int) -> None:
    assert Circuit().trip(NOW, asked_ms).open_until == NOW + pause_ms
    assert Circuit().must_trip(asked_ms) is (asked_ms is not None)


def test_while_it_is_open_everything_waits_and_suspects_a_moment_longer() -> None:
    circuit = failed(TRIP_AFTER).trip(NOW)
    assert circuit.wait_ms("fresh", NOW) == FIRST_COOL_DOWN_MS
    assert circuit.wait_ms("e1", NOW) == FIRST_COOL_DOWN_MS + WAY_MS
    assert circuit.wait_ms("fresh", NOW + FIRST_COOL_DOWN_MS) == 0
    assert circuit.wait_ms("e1", NOW + FIRST_COOL_DOWN_MS) == WAY_MS
    assert circuit.wait_ms("e1", NOW + FIRST_COOL_DOWN_MS + WAY_MS) == 0
    assert circuit.wait_ms("e1", NOW + DAY) == 0
    assert failed(TRIP_AFTER).wait_ms("e1", NOW) == 0, "a closed one lets all pass"


def test_a_probe_holds_the_others_back_for_a_while() -> None:
    probing = failed(TRIP_AFTER).trip(NOW).start_probe(NOW + 5_000)
    assert probing.wait_ms("fresh", NOW + 5_000) == PROBE_MS


def test_a_suspect_that_fails_as_the_probe_prolongs_little() -> None:
    circuit = failed(TRIP_AFTER)
    for _ in range(9):
        circuit = circuit.trip(NOW)
    held = circuit.hold(NOW)
    assert (held.open_until, held.trips) == (NOW + FIRST_COOL_DOWN_MS, 9)


def test_an_open_circuit_is_hopeless_after_a_day_without_a_success() -> None:
    circuit = failed(TRIP_AFTER)
    assert not circuit.is_hopeless(NOW + HOPELESS_AFTER_MS - 1)
    assert circuit.is_hopeless(NOW + HOPELESS_AFTER_MS)
    assert not failed(TRIP_AFTER - 1).is_hopeless(NOW + 9 * DAY), "a few events say too little"
    assert not Circuit().is_hopeless(NOW)


def test_a_410_needs_another_event_a_minute_later() -> None:
    first = Circuit().witness_gone("e1", NOW)
    assert first.witness_gone("e2", NOW + 5) == first
    later = NOW + GONE_AFTER_MS
    assert not Circuit().is_gone("e2", later)
    assert not first.is_gone("e1", later + DAY), "its own retries are no witness"
    assert not first.is_gone("e2", later - 1)
    assert first.is_gone("e2", later)
    assert not first.is_well
    assert not first.recover(NOW).is_gone("e2", later), "a success between them"


def test_a_success_changes_nothing_of_one_that_is_well() -> None:
    assert Circuit().is_well
    assert Circuit(recovered_at=5, suspects=("x",)).is_well
    assert not failed(1).is_well
    assert not Circuit(open_until=NOW).is_well


@given(st.lists(st.sampled_from(["fresh", "again", "trip", "hold", "probe", "recover"])))
def test_whatever_happens_nobody_waits_for_a_minute(steps: list[str]) -> None:
    circuit, now = Circuit(), NOW
    for number, step in enumerate(steps):
        now += SECOND
        match step:
            case "fresh":
                circuit = circuit.count_failure(f"e{number}", now)
            case "again":
                circuit = circuit.count_failure("e0", now)
            case "trip":
                circuit = circuit.trip(now)
            case "hold":
                circuit = circuit.hold(now)
            case "probe":
                circuit = circuit.start_probe(now)
            case _:
                circuit = circuit.recover(now)
        assert circuit.wait_ms("new", now) < MINUTE
    assert circuit.recover(now).closed
