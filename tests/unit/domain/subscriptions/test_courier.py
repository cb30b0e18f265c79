"""One delivery at a time: what it comes to, and what workers learn of the subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.fake_backlog import InMemoryBacklog
from tests.fakes import FakeClock, InMemorySubscriptions, RecordingAttempts, RecordingEvents
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import GRACE_MS, Parked
from wechat_kf.domain.subscriptions.circuit import Circuit, suspect_name
from wechat_kf.domain.subscriptions.courier import Courier, PostponedError
from wechat_kf.domain.subscriptions.delivery import (
    Deferred,
    Delivered,
    Delivery,
    DeliveryResult,
    Gone,
    Refused,
)
from wechat_kf.domain.subscriptions.dispatch import Dispatch, Fate
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionKey,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

KEY = ("42", "s1")
HOOK = Subscription(*KEY, Target(TargetType.WEBHOOK, "https://shop.test/hook"))


@dataclass
class World:
    """`DrainQueue` and `Subscriber`, and a worker of the deliveries queue between them."""

    clock: FakeClock = field(default_factory=FakeClock)
    result: DeliveryResult = field(default_factory=Delivered)
    takes_ms: int = 50
    calls: list[str] = field(default_factory=list)
    woken: list[tuple[list[str], str]] = field(default_factory=list)
    stops: list[Subscription] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = InMemorySubscriptions()
        self.store.add(HOOK)
        self.backlog = InMemoryBacklog(self.store)
        self.attempts, self.events = RecordingAttempts(), RecordingEvents()
        self.restart()

    def restart(self) -> None:
        """Another worker, who remembers nothing."""
        memory = SubscriptionMemory(self.store, self.clock)
        self.courier = Courier(
            memory,
            {TargetType.WEBHOOK: self},
            self.events,
            self.attempts,
            self.clock,
            "wx1",
            self.stops.append,
        )
        self.dispatch = Dispatch(memory, self.courier, self.backlog, self, self.clock)

    def deliver(self, _subscription: Subscription, event: Event) -> DeliveryResult:
        self.calls.append(event.id)
        self.clock.advance(self.takes_ms)
        return self.result

    def wake(self, key: SubscriptionKey, token: str) -> None:
        raise AssertionError("only the sweeper and a resume do so")

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        assert key == KEY
        self.woken.append((list(lanes), token))

    @property
    def row(self) -> Subscription:
        found = self.store.get(*KEY)
        assert found
        return found

    def change(self, **members: object) -> None:
        self.store.change(KEY, **members)
        self.restart()

    def park_for_long(self) -> None:
        """Let the backlog be open for so long that events may be parked."""
        self.backlog.open(KEY, self.clock())
        self.clock.advance(GRACE_MS)
        self.restart()

    def new(self, number: int = 1, openid: str = "o1") -> Delivery:
        event = Event(
            f"e{number}", EventType.MESSAGE_RECEIVED, "wx1", "42", openid, self.clock(), {}
        )
        return Delivery(*KEY, event, self.clock(), str(number))


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_subscriber_accepts_is_delivered(world: World) -> None:
    assert world.dispatch.dispatch(world.new()) is Fate.DELIVERED
    assert (world.calls, world.attempts.attempts) == (["e1"], [])


def test_what_nobody_wants_any_more_is_dropped(world: World) -> None:
    delivery = world.new()
    world.store.remove(*KEY)
    assert world.dispatch.dispatch(delivery) is Fate.DROPPED
    assert world.calls == []


@pytest.mark.parametrize("status", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_the_events_of_a_paused_subscription_are_held(
    world: World, status: SubscriptionStatus
) -> None:
    world.change(status=status)
    world.park_for_long()
    assert world.dispatch.dispatch(world.new()) is Fate.HELD
    assert (world.calls, world.woken) == ([], [])
    assert world.backlog.size(KEY).waiting == 1


def test_an_event_behind_a_parked_one_of_its_buyer_is_parked(world: World) -> None:
    world.park_for_long()
    since = world.row.parking_since
    world.backlog.park(Parked.of(world.new(1)), since)
    assert world.dispatch.dispatch(world.new(2)) is Fate.PARKED
    assert world.dispatch.dispatch(world.new(3, "o2")) is Fate.DELIVERED
    assert world.calls == ["e3"]


def test_what_the_drain_delivered_is_not_delivered_again(world: World) -> None:
    """Its worker died after it had parked the event, and the queue hands it out again."""
    world.park_for_long()
    delivery = world.new()
    world.backlog.park(Parked.of(delivery), world.row.parking_since)
    world.backlog.remove(Parked.of(delivery), world.clock())
    assert world.dispatch.dispatch(delivery, repeated=True) is Fate.DELIVERED
    assert world.calls == []


def test_the_events_of_a_slow_subscriber_are_parked_and_drained_at_once(world: World) -> None:
    world.park_for_long()
    world.change(slow_until=world.clock() + 1)
    delivery = world.new()
    assert world.dispatch.dispatch(delivery) is Fate.PARKED
    assert world.woken == [([delivery.lane], "1")]
    world.clock.advance(1)
    assert world.dispatch.dispatch(world.new(2, "o2")) is Fate.DELIVERED


def test_while_slow_and_not_yet_parking_the_backlog_is_opened(world: World) -> None:
    world.change(slow_until=world.clock() + 1)
    opened_at = world.clock()
    assert world.dispatch.dispatch(world.new()) is Fate.DELIVERED
    assert world.row.parking_since == opened_at


# -- slow


@pytest.mark.parametrize(("takes_ms", "slow"), [(1_499, False), (1_500, True)])
def test_three_deliveries_of_a_second_and_a_half_are_slow(
    world: World, takes_ms: int, slow: bool
) -> None:
    world.takes_ms = takes_ms
    for number in range(2):
        world.dispatch.dispatch(world.new(number))
        assert world.row.slow_until == 0
    world.dispatch.dispatch(world.new(2))
    assert world.row.slow_until == (world.clock() + 10 * MINUTE if slow else 0)


def test_slow_ones_further_apart_than_a_minute_say_nothing(world: World) -> None:
    world.takes_ms = 2_000
    for number in range(9):
        world.dispatch.dispatch(world.new(number))
        world.clock.advance(MINUTE // 2)
    assert world.row.slow_until == 0


def test_a_slow_mark_is_renewed_when_half_of_it_is_over(world: World) -> None:
    world.takes_ms = 2_000
    deadline = world.clock() + 5 * MINUTE + 6 * SECOND
    world.change(slow_until=deadline)
    for _ in range(3):
        world.courier.attempt(world.row, world.new())
    assert world.row.slow_until == deadline, "exactly half of it is left"
    world.courier.attempt(world.row, world.new())
    assert world.row.slow_until == world.clock() + 10 * MINUTE


# -- the circuit


def test_one_of_two_workers_is_the_probe(world: World) -> None:
    now = world.clock()
    seen = replace(HOOK, circuit=Circuit(failures=5, failing_since=1, trips=1, open_until=now))
    world.change(circuit=seen.circuit)
    world.courier.attempt(seen, world.new())
    world.calls.clear()
    with pytest.raises(PostponedError) as postponed:
        world.courier.attempt(seen, world.new(2, "o2"))
    assert (postponed.value.delay_ms, postponed.value.reason) == (10 * SECOND, "circuit open")
    assert world.calls == []


def test_the_fifth_event_that_fails_opens_it_and_a_retry_is_no_fifth(world: World) -> None:
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
    world: World, result: DeliveryResult, known: bool, pause_ms: int
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


def test_a_stop_is_reported_and_published_before_it_is_written(world: World) -> None:
    world.result = Gone("answered 410", status=410)
    world.courier.attempt(world.row, world.new(1))
    world.clock.advance(MINUTE)
    world.courier.attempt(world.row, world.new(2))
    assert [one.status for one in world.stops] == [SubscriptionStatus.DISABLED]
    (event,) = world.events.events.values()
    assert event.data["reason"] == world.row.status_reason == "answered 410"
    assert world.row.status is SubscriptionStatus.DISABLED


def test_without_an_answer_there_is_no_status(world: World) -> None:
    for result in (Deferred("no connection"), Refused("wrong target")):
        world.result = result
        world.courier.attempt(world.row, world.new())
    assert [(one.status, one.took_ms) for _, one in world.attempts.attempts] == [(0, 50), (0, 50)]
