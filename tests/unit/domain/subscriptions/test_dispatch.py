"""One event to one subscriber: deliver, wait, or give up; and a bad subscriber harms nobody."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import FakeClock, InMemorySubscriptions, RecordingDeadLetters, RecordingEvents
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.subscriptions.circuit import PROBE_MS, TRIP_AFTER
from wechat_kf.domain.subscriptions.delivery import (
    RETENTION_MS,
    Deferred,
    Delivered,
    Delivery,
    DeliveryResult,
    Refused,
)
from wechat_kf.domain.subscriptions.dispatch import (
    PAUSED_LOOK_MS,
    Dispatch,
    Fate,
    PostponedError,
    lengthen,
)
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory
from wechat_kf.errors import RetryLater, UnavailableError

MEMORY_MS = 3 * SECOND
Behaviour = Callable[[Event], DeliveryResult]


@dataclass
class Subscribers:
    """All subscribers' servers: each does what it is told, and calls are counted."""

    clock: FakeClock
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[tuple[int, str, str]] = field(default_factory=list)

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        self.calls.append((self.clock(), subscription.subscription_id, event.id))
        behave = self.behaviours.get(subscription.subscription_id)
        return behave(event) if behave else Delivered()

    def calls_to(self, subscription_id: str) -> int:
        return sum(name == subscription_id for _, name, _ in self.calls)


@dataclass
class World:
    """A deliveries function with one worker, and everything around it."""

    clock: FakeClock = field(default_factory=FakeClock)
    store: InMemorySubscriptions = field(default_factory=InMemorySubscriptions)
    dead_letters: RecordingDeadLetters = field(default_factory=RecordingDeadLetters)
    told: RecordingEvents = field(default_factory=RecordingEvents)

    def __post_init__(self) -> None:
        self.subscribers = Subscribers(self.clock)
        self.dispatcher = self.worker()

    def worker(self) -> Dispatch:
        return Dispatch(
            subscriptions=SubscriptionMemory(self.store, self.clock, MEMORY_MS),
            subscribers={TargetType.WEBHOOK: self.subscribers},
            dead_letters=self.dead_letters,
            events=self.told,
            clock=self.clock,
            app_id="wx1",
        )

    @property
    def buried(self) -> list[tuple[str, str]]:
        """(event id, reason) of all dead letters."""
        return [(letter.event.id, reason) for letter, reason in self.dead_letters.letters]

    def subscribe(self, name: str, behave: Behaviour | None = None) -> Subscription:
        subscription = Subscription(
            "42", name, Target(TargetType.WEBHOOK, f"https://{name}.example")
        )
        self.store.add(subscription)
        if behave:
            self.subscribers.behaviours[name] = behave
        return subscription

    def get(self, name: str, business_id: str = "42") -> Subscription:
        found = self.store.get(business_id, name)
        assert found
        return found

    def delivery(self, name: str, event_id: str = "e1", openid: str = "o1") -> Delivery:
        event = Event(event_id, EventType.MESSAGE_RECEIVED, "wx1", "42", openid, self.clock(), {})
        return Delivery("42", name, event, self.clock())

    def wait_of(self, delivery: Delivery) -> int:
        with pytest.raises(RetryLater) as later:
            self.dispatcher.dispatch(delivery)
        return later.value.delay_ms

    def run(self, deliveries: list[Delivery], until: int) -> dict[str, tuple[Fate, int]]:
        """Plays the queue: dispatches, waits as told, moves the clock. Event id → fate, instant."""
        line = [(self.clock(), number, one) for number, one in enumerate(deliveries)]
        heapq.heapify(line)
        settled = {}
        while line and line[0][0] <= until:
            at, number, delivery = heapq.heappop(line)
            self.clock.now = max(at, self.clock.now)
            try:
                fate = self.dispatcher.dispatch(delivery)
            except RetryLater as later:
                heapq.heappush(line, (self.clock() + later.delay_ms, number, delivery))
            else:
                settled[delivery.event.id] = (fate, self.clock())
        return settled


@pytest.fixture
def world() -> World:
    return World()


def down(_: Event) -> DeliveryResult:
    return Deferred("answered 500")


def test_a_delivered_event_is_done(world: World) -> None:
    world.subscribe("shop")
    assert world.dispatcher.dispatch(world.delivery("shop")) is Fate.DELIVERED
    assert world.buried == []


def test_events_of_a_removed_subscription_are_dropped(world: World) -> None:
    assert world.dispatcher.dispatch(world.delivery("gone")) is Fate.DROPPED
    assert world.buried == []


def test_a_failure_waits_for_as_long_again_as_it_was_tried(world: World) -> None:
    world.subscribe("shop", down)
    delivery = world.delivery("shop")
    assert world.wait_of(delivery) == 5 * SECOND
    world.clock.advance(60 * SECOND)
    assert world.wait_of(delivery) == 60 * SECOND


def test_a_subscriber_that_asks_for_time_gets_it_for_all_its_conversations(world: World) -> None:
    world.subscribe("shop", lambda _: Deferred("answered 429", HOUR))
    assert world.wait_of(world.delivery("shop", "e1", "o1")) == HOUR
    assert world.wait_of(world.delivery("shop", "e2", "o2")) == HOUR
    assert world.subscribers.calls_to("shop") == 1


def test_an_event_is_given_up_after_the_retention_with_the_reason(world: World) -> None:
    world.subscribe("shop", down)
    delivery = world.delivery("shop")
    settled = world.run([delivery], until=world.clock() + 2 * DAY)
    fate, at = settled["e1"]
    assert fate is Fate.DEAD_LETTERED
    assert delivery.expires_at <= at < delivery.expires_at + MINUTE
    assert world.buried[0][1].startswith("expired: ")
    assert 10 <= world.subscribers.calls_to("shop") <= 100


def test_an_event_that_waited_too_long_in_the_queue_itself_still_gets_one_try(world: World) -> None:
    world.subscribe("shop")
    delivery = world.delivery("shop")
    world.clock.advance(2 * RETENTION_MS)
    assert world.dispatcher.dispatch(delivery) is Fate.DELIVERED


def test_410_disables_and_tells_the_others(world: World) -> None:
    world.subscribe("shop", lambda _: Refused("answered 410"))
    assert world.dispatcher.dispatch(world.delivery("shop")) is Fate.DEAD_LETTERED
    assert world.get("shop").status is SubscriptionStatus.DISABLED
    assert world.buried == [("e1", "disabled")]
    [event] = world.told.events.values()
    assert event.type == EventType.SUBSCRIPTION_PAUSED
    assert event.data["status"] == "disabled"
    assert event.data["reason"] == "answered 410"


def test_what_waits_for_a_disabled_subscription_is_dead_lettered_without_a_call(
    world: World,
) -> None:
    world.subscribe("shop", lambda _: Refused("answered 410"))
    world.dispatcher.dispatch(world.delivery("shop", "e1"))
    assert world.dispatcher.dispatch(world.delivery("shop", "e2")) is Fate.DEAD_LETTERED
    assert world.subscribers.calls_to("shop") == 1
    assert world.buried[-1] == ("e2", "disabled")


def test_a_paused_subscription_keeps_its_events_and_gets_them_after_the_pause(world: World) -> None:
    shop = world.subscribe("shop")
    world.store.update(replace(shop, status=SubscriptionStatus.PAUSED))
    delivery = world.delivery("shop")
    assert world.wait_of(delivery) == 5 * SECOND
    world.clock.advance(6 * HOUR)
    assert world.wait_of(delivery) == PAUSED_LOOK_MS
    world.store.update(replace(world.get("shop"), status=SubscriptionStatus.ACTIVE))
    world.clock.advance(PAUSED_LOOK_MS)
    assert world.dispatcher.dispatch(delivery) is Fate.DELIVERED


def test_a_pause_keeps_events_no_longer_than_the_retention(world: World) -> None:
    shop = world.subscribe("shop")
    world.store.update(replace(shop, status=SubscriptionStatus.PAUSED))
    delivery = world.delivery("shop")
    settled = world.run([delivery], until=world.clock() + 2 * DAY)
    assert settled["e1"] == (Fate.DEAD_LETTERED, delivery.expires_at)
    assert world.buried == [("e1", "expired: paused")]
    assert world.subscribers.calls == []


# ---------------------------------------------------------------- the circuit breaker


def trip(world: World, name: str = "shop") -> None:
    for number in range(TRIP_AFTER):
        world.wait_of(world.delivery(name, f"trip{number}", f"o{number}"))


def test_a_dead_subscriber_is_soon_left_alone_and_its_events_wait(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    assert world.wait_of(world.delivery("shop")) == 5 * SECOND
    assert world.subscribers.calls_to("shop") == TRIP_AFTER


def test_after_the_cool_down_one_worker_probes_and_the_others_wait(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    world.clock.advance(5 * SECOND)
    others = [world.worker() for _ in range(3)]

    def meanwhile(_: Event) -> DeliveryResult:
        """The probe is under way: what do the other workers do?"""
        for other in others:
            with pytest.raises(RetryLater) as later:
                other.dispatch(world.delivery("shop", "e2", "o2"))
            assert later.value.delay_ms == PROBE_MS
        return Delivered()

    world.subscribers.behaviours["shop"] = meanwhile
    assert world.dispatcher.dispatch(world.delivery("shop")) is Fate.DELIVERED
    assert world.subscribers.calls_to("shop") == TRIP_AFTER + 1
    assert world.get("shop").circuit.closed


def test_of_two_who_saw_the_cool_down_end_one_probes(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    world.clock.advance(5 * SECOND)
    other = world.worker()
    other.subscriptions.get("42", "shop")  # remembers the open circuit, as we do
    world.dispatcher.subscriptions.get("42", "shop")
    calls = world.subscribers.calls_to("shop")
    with pytest.raises(RetryLater):
        other.dispatch(world.delivery("shop"))
    assert world.wait_of(world.delivery("shop", "e2", "o2")) == PROBE_MS
    assert world.subscribers.calls_to("shop") == calls + 1


def test_a_probe_whose_worker_died_is_followed_by_another(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    world.clock.advance(5 * SECOND)

    def crash(_: Event) -> DeliveryResult:
        raise MemoryError

    world.subscribers.behaviours["shop"] = crash
    with pytest.raises(MemoryError):
        world.dispatcher.dispatch(world.delivery("shop"))
    del world.subscribers.behaviours["shop"]
    world.clock.advance(PROBE_MS)
    assert world.dispatcher.dispatch(world.delivery("shop")) is Fate.DELIVERED


def test_each_failed_probe_doubles_the_cool_down(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    pauses = []
    for _ in range(10):
        world.clock.now = world.get("shop").circuit.open_until
        world.wait_of(world.delivery("shop", "probe", "o9"))
        pauses.append(world.get("shop").circuit.open_until - world.clock())
    assert pauses[:3] == [10 * SECOND, 20 * SECOND, 40 * SECOND]
    assert pauses[-1] == 30 * MINUTE


def test_failures_of_one_event_among_successes_do_not_open_the_circuit(world: World) -> None:
    def allergic(event: Event) -> DeliveryResult:
        return down(event) if event.id == "bad" else Delivered()

    world.subscribe("shop", allergic)
    bad = world.delivery("shop", "bad", "o-bad")
    for number in range(4 * TRIP_AFTER):
        world.wait_of(bad)
        world.clock.advance(MINUTE)
        good = world.delivery("shop", f"good{number}")
        assert world.dispatcher.dispatch(good) is Fate.DELIVERED
    assert world.get("shop").circuit.trips == 0


def test_after_a_recovery_one_more_failure_waits_seconds_not_hours(world: World) -> None:
    world.subscribe("shop", down)
    trip(world)
    old = world.delivery("shop", "old", "o-old")
    world.clock.advance(6 * HOUR)
    del world.subscribers.behaviours["shop"]
    assert world.dispatcher.dispatch(world.delivery("shop", "probe")) is Fate.DELIVERED
    world.subscribers.behaviours["shop"] = down
    assert world.wait_of(old) == 5 * SECOND


def test_a_healthy_subscriber_costs_no_write(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.subscribe("shop")
    for name in ("add", "update", "count_failure", "move_circuit"):
        monkeypatch.setattr(world.store, name, None)
    for number in range(10):
        delivery = world.delivery("shop", f"e{number}")
        assert world.dispatcher.dispatch(delivery) is Fate.DELIVERED


def test_a_table_that_fails_after_the_delivery_does_not_repeat_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.subscribe("shop", down)
    world.wait_of(world.delivery("shop"))
    del world.subscribers.behaviours["shop"]

    def broken(*_: object) -> bool:
        raise UnavailableError("DynamoDB does not answer")

    monkeypatch.setattr(world.store, "move_circuit", broken)
    assert world.dispatcher.dispatch(world.delivery("shop", "e2")) is Fate.DELIVERED


def test_a_dead_subscriber_costs_the_others_nothing(world: World) -> None:
    world.subscribe("dead", down)
    world.subscribe("well")
    start = world.clock()
    both = [
        world.delivery(name, f"{name}{number}", f"o{number}")
        for number in range(200)
        for name in ("dead", "well")
    ]
    settled = world.run(both, until=start + HOUR)
    assert {key: value for key, value in settled.items() if key.startswith("well")} == {
        f"well{number}": (Fate.DELIVERED, start) for number in range(200)
    }
    assert world.subscribers.calls_to("dead") <= 20, "instead of 200 conversations' worth"


def test_after_an_outage_everything_arrives_once(world: World) -> None:
    start = world.clock()

    def outage(event: Event) -> DeliveryResult:
        return down(event) if world.clock() < start + 6 * HOUR else Delivered()

    world.subscribe("shop", outage)
    line = [world.delivery("shop", f"e{number}", f"o{number}") for number in range(50)]
    settled = world.run(line, until=start + DAY)
    assert len(settled) == 50
    assert all(fate is Fate.DELIVERED for fate, _ in settled.values())
    assert max(at for _, at in settled.values()) <= start + 6 * HOUR + 31 * MINUTE
    assert world.subscribers.calls_to("shop") < 50 + 50


def test_a_day_of_nothing_but_failures_pauses_and_tells_the_others_once(world: World) -> None:
    world.subscribe("shop", down)
    start = world.clock()
    line = [world.delivery("shop", f"e{number}", f"o{number}") for number in range(5)]
    world.run(line, until=start + 23 * HOUR)
    assert world.get("shop").status is SubscriptionStatus.ACTIVE
    line = [world.delivery("shop", f"later{number}", f"o{number}") for number in range(5)]
    world.run(line, until=start + 26 * HOUR)
    paused = world.get("shop")
    assert paused.status is SubscriptionStatus.PAUSED
    assert paused.status_reason == "failing: answered 500"
    [event] = world.told.events.values()
    assert (event.type, event.business_id) == (EventType.SUBSCRIPTION_PAUSED, "42")
    assert event.data["subscription_id"] == "shop"
    assert not [letter for letter in world.buried if letter[0].startswith("later")]


def test_about_a_subscription_to_all_merchants_the_main_account_is_told(world: World) -> None:
    shop = world.subscribe("shop")
    world.store.add(replace(shop, business_id=ANY_MERCHANT, subscription_id="all"))
    world.subscribers.behaviours["all"] = lambda _: Refused("answered 410")
    delivery = replace(world.delivery("all"), subscription_business_id=ANY_MERCHANT)
    world.dispatcher.dispatch(delivery)
    [event] = world.told.events.values()
    assert event.business_id == MAIN_ACCOUNT
    assert event.data["business_id"] == ANY_MERCHANT
    assert world.get("all", ANY_MERCHANT).status is SubscriptionStatus.DISABLED


def test_nobody_is_stopped_while_the_others_cannot_be_told(world: World) -> None:
    world.subscribe("shop", lambda _: Refused("answered 410"))
    world.told.down = True
    with pytest.raises(UnavailableError):
        world.dispatcher.dispatch(world.delivery("shop"))
    assert world.get("shop").status is SubscriptionStatus.ACTIVE


def test_what_cannot_be_dead_lettered_stays_in_line(world: World) -> None:
    world.subscribe("shop", down)
    delivery = world.delivery("shop")
    world.clock.advance(RETENTION_MS)
    world.dead_letters.down = True
    with pytest.raises(UnavailableError):
        world.dispatcher.dispatch(delivery)


# ---------------------------------------------------------------- what a worker remembers


def test_a_change_of_the_subscription_reaches_a_worker_within_seconds(world: World) -> None:
    shop = world.subscribe("shop")
    world.dispatcher.dispatch(world.delivery("shop", "e1"))
    world.store.update(replace(shop, status=SubscriptionStatus.PAUSED))
    world.clock.advance(MEMORY_MS)
    world.wait_of(world.delivery("shop", "e2"))
    assert world.subscribers.calls_to("shop") == 1


def test_a_stream_of_failures_does_not_keep_old_news_alive(world: World) -> None:
    shop = world.subscribe("shop", down)
    world.store.update(replace(shop, status=SubscriptionStatus.ACTIVE))
    for number in range(TRIP_AFTER - 1):
        world.wait_of(world.delivery("shop", f"e{number}", f"o{number}"))
        world.clock.advance(MEMORY_MS - SECOND)
        if number == 0:
            world.store.update(replace(world.get("shop"), status=SubscriptionStatus.PAUSED))
    assert world.subscribers.calls_to("shop") <= 2


def test_a_backlog_of_a_subscriber_that_fails_now_and_then_never_looks_like_poison(
    world: World,
) -> None:
    # Given a subscriber that others find up in between, so that its circuit never stays open long
    closed = world.subscribe("moody", down).circuit
    delivery, receives = world.delivery("moody"), 0

    # When one event of its backlog meets nothing but refusals until it is given up
    while not world.buried:
        world.store.move_circuit(world.get("moody"), replace(closed, recovered_at=world.clock()))
        world.dispatcher = world.worker()
        receives += 1
        try:
            world.dispatcher.dispatch(delivery)
        except PostponedError as postponed:
            world.clock.advance(lengthen(postponed, receives).delay_ms)

    # Then the queue, which takes a message for poison after 500 receives, had no reason to
    assert world.buried == [("e1", "expired: answered 500")]
    assert 150 < receives < 500
