"""Drains step by step: which lanes are woken, when they go on, and what becomes dead."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import pytest

from tests.workplace import HOOK, KEY, Workplace
from wechat_kf.app_errors import RetryLater, UnavailableError
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.delivery import Deferred, Refused
from wechat_kf.domain.subscriptions.dispatch import Fate
from wechat_kf.domain.subscriptions.drain import (
    EXPIRED_AT_ONCE,
    LANES_AT_ONCE,
    LANES_TO_PROBE,
    REVIVED_AT_ONCE,
    BacklogTotals,
)
from wechat_kf.domain.subscriptions.subscription import SubscriptionStatus


@pytest.fixture
def work() -> Workplace:
    made = Workplace()
    made.park_for_long()
    return made


def drain(work: Workplace, seconds: int = 60) -> int | None:
    """Drain; the delay until it goes on, None when it ends."""
    try:
        work.drain.drain(KEY, work.clock() + seconds * SECOND)
    except RetryLater as later:
        return later.delay_ms
    return None


def woken(work: Workplace) -> list[str]:
    """The lanes woken last."""
    return work.woken[-1][0]


def park_lane(work: Workplace, number: int) -> str:
    """Park the first events of a buyer; return their lane."""
    (lane,) = {work.park(one).lane for one in range(number)}
    return lane


def always() -> bool:
    return True


# -- the watch


def test_what_waits_for_active_and_for_paused_ones_is_measured_apart(work: Workplace) -> None:
    paused = replace(HOOK, subscription_id="s2", status=SubscriptionStatus.PAUSED)
    work.park()
    work.store.add(paused)
    work.backlog.open(paused.key, work.clock())
    work.clock.advance(7)
    work.park(2)
    assert work.watch.wake() == BacklogTotals(waiting=2, oldest_ms=7, held=0)
    work.change(status=SubscriptionStatus.PAUSED)
    assert work.watch.wake() == BacklogTotals(waiting=0, oldest_ms=0, held=2)


def test_a_drain_is_woken_once_a_minute_for_each_backlog(work: Workplace) -> None:
    work.watch.wake()
    assert work.drains_woken == [(KEY, str(work.clock() // MINUTE))]
    assert work.watch.wake() == BacklogTotals()


# -- the drain


def test_nothing_waits_so_parking_ends(work: Workplace) -> None:
    assert drain(work) is None
    assert work.row.parking_since == 0


def test_parking_goes_on_while_the_subscriber_is_slow(work: Workplace) -> None:
    work.change(slow_until=work.clock() + 1)
    drain(work)
    assert work.row.parking_since
    work.clock.advance(1)
    work.restart()
    drain(work)
    assert work.row.parking_since == 0


def test_every_lane_is_woken_and_looked_at_again_in_five_seconds(work: Workplace) -> None:
    lanes = {work.park(number, f"o{number}").lane for number in range(20)}
    work.park(99, "o1")
    assert drain(work) == 5 * SECOND
    assert (set(woken(work)), len(woken(work))) == (lanes, 20)
    assert drain(work, 5) is None, "another drain begins by then"


def test_a_thousand_lanes_are_woken_at_once(work: Workplace) -> None:
    for number in range(LANES_AT_ONCE + 1):
        work.park(number, f"o{number}")
    drain(work)
    assert len(woken(work)) == 1_000


def test_three_lanes_are_the_probe_those_first_that_have_not_failed(work: Workplace) -> None:
    tried = [work.park(number, f"o{number}") for number in range(5)]
    for one in tried:
        head = work.backlog.head(KEY, one.lane)
        assert head
        work.backlog.note(head.note_attempt(work.clock(), refused=False))
    fresh = {work.park(number, f"o{number}").lane for number in (7, 8)}
    work.clock.advance(MINUTE)
    work.change(circuit=Circuit(failures=5, trips=1, open_until=work.clock()))
    drain(work)
    assert len(woken(work)) == LANES_TO_PROBE == 3
    assert fresh < set(woken(work))


def test_while_the_circuit_is_open_the_drain_comes_back_when_it_can_go_on(work: Workplace) -> None:
    work.park()
    work.change(circuit=Circuit(failures=5, trips=1, open_until=work.clock() + 20 * SECOND))
    assert drain(work) == 20 * SECOND
    assert work.woken == []
    assert drain(work, 20) is None


def test_a_paused_subscription_wakes_no_lane(work: Workplace) -> None:
    work.park()
    work.change(status=SubscriptionStatus.PAUSED)
    assert drain(work) is None
    assert work.woken == []
    assert work.row.parking_since


def test_what_waited_for_a_day_is_buried_two_hundred_at_once(work: Workplace) -> None:
    for number in range(EXPIRED_AT_ONCE + 1):
        work.park(number)
    work.clock.advance(DAY - 1)
    work.change(status=SubscriptionStatus.PAUSED)
    assert drain(work) is None
    assert work.fates == []
    work.clock.advance(1)
    assert drain(work) == SECOND
    assert len(work.fates) == 200
    assert drain(work) is None
    assert work.fates[-1] == ("e200", Fate.DEAD)


def test_the_dead_are_revived_five_hundred_at_once(work: Workplace) -> None:
    for number in range(REVIVED_AT_ONCE + 1):
        parked = work.park(number)
        head = work.backlog.head(KEY, parked.lane)
        assert head
        work.backlog.bury(head, "expired", work.clock())
    work.backlog.ask_recovery(KEY, 0)
    drain(work)
    assert work.backlog.size(KEY).waiting == 500
    drain(work)
    assert (work.backlog.size(KEY).waiting, work.backlog.size(KEY).dead) == (501, 0)


def test_a_removed_subscription_leaves_nothing(work: Workplace) -> None:
    work.park()
    work.store.remove(*KEY)
    work.restart()
    assert drain(work) is None
    assert work.backlog.parked_subscriptions() == []


# -- one lane


def test_a_lane_is_delivered_in_order_to_its_end(work: Workplace) -> None:
    lane = park_lane(work, 3)
    work.park(9, "o2")
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == ["e0", "e1", "e2"]
    assert work.fates == [(event, Fate.DELIVERED) for event in work.calls]
    assert work.backlog.size(KEY).waiting == 1


def test_a_lane_without_time_goes_on_at_once(work: Workplace) -> None:
    lane = park_lane(work, 3)
    left = iter([True, False])
    with pytest.raises(RetryLater) as later:
        work.drain.drain_lane(KEY, lane, lambda: next(left))
    assert (later.value.delay_ms, work.calls) == (0, ["e0"])
    assert work.backlog.size(KEY).waiting == 2


def test_a_pause_stops_a_lane(work: Workplace) -> None:
    lane = work.park().lane
    work.change(status=SubscriptionStatus.PAUSED)
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == []


def test_a_failed_head_holds_its_lane_and_waits_as_long_as_it_was_tried(work: Workplace) -> None:
    work.result = Deferred("answered 500", status=500)
    lane = park_lane(work, 2)
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == ["e0"]
    work.clock.advance(5 * SECOND - 1)
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == ["e0"]
    work.clock.advance(1)
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == ["e0", "e0"]
    assert work.fates == []


@pytest.mark.parametrize("result", [Refused("answered 422"), Deferred("answered 500")])
def test_only_a_refusal_for_an_hour_makes_an_event_dead(
    work: Workplace, result: Refused | Deferred
) -> None:
    work.takes_ms = 0
    work.result = result
    lane = work.park().lane
    work.drain.drain_lane(KEY, lane, always)
    work.clock.advance(HOUR - 1)
    work.drain.drain_lane(KEY, lane, always)
    assert work.fates == []
    work.clock.advance(10 * MINUTE)
    work.drain.drain_lane(KEY, lane, always)
    assert work.fates == ([("e1", Fate.DEAD)] if isinstance(result, Refused) else [])


def test_an_event_refused_for_exactly_an_hour_is_dead(work: Workplace) -> None:
    work.takes_ms = 0
    work.result = Refused("answered 422")
    lane = work.park().lane
    work.drain.drain_lane(KEY, lane, always)
    work.clock.advance(HOUR)
    work.drain.drain_lane(KEY, lane, always)
    assert work.fates == [("e1", Fate.DEAD)]


def test_a_head_that_expired_is_dead_and_its_lane_goes_on(work: Workplace) -> None:
    lane = work.park(1).lane
    work.clock.advance(1)
    work.park(2)
    work.clock.advance(DAY - 1)
    work.drain.drain_lane(KEY, lane, always)
    assert work.fates == [("e1", Fate.DEAD), ("e2", Fate.DELIVERED)]


def test_what_was_delivered_is_not_delivered_again_while_the_table_is_away(
    work: Workplace,
) -> None:
    lane = work.park().lane
    away = patch.object(work.backlog, "remove", side_effect=UnavailableError("no answer"))
    with away, pytest.raises(UnavailableError):
        work.drain.drain_lane(KEY, lane, always)
    work.drain.drain_lane(KEY, lane, always)
    assert work.calls == ["e1"]
    assert work.fates == [("e1", Fate.DELIVERED)]


def test_an_open_circuit_holds_a_lane(work: Workplace) -> None:
    lane = work.park().lane
    work.change(circuit=Circuit(failures=5, trips=1, open_until=work.clock() + 1))
    work.drain.drain_lane(KEY, lane, always)
    assert (work.calls, work.fates, work.attempts.attempts) == ([], [], [])
