"""Deliver, wait, park, drain: the layer's own code on queues in simulated time."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from tests.chaos.deliveries import Answer, Deliveries, is_down, takes
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.subscriptions.backlog import BacklogSize
from wechat_kf.domain.subscriptions.delivery import (
    Deferred,
    Delivered,
    DeliveryResult,
    Gone,
    Refused,
)
from wechat_kf.domain.subscriptions.subscription import SubscriptionStatus

POISON = EventType.PUSH_UNKNOWN


def refuses(result: DeliveryResult, *, takes_ms: int = 50) -> Answer:
    """Accept everything but poison."""
    return lambda event: (result if event.type == POISON else Delivered(), takes_ms)


@pytest.fixture
def world() -> Deliveries:
    return Deliveries()


def is_direct(world: Deliveries, name: str = "shop") -> bool:
    return world.get(("42", name)).parking_since == 0 and not world.backlog.parked_subscriptions()


# -- one event


def test_an_event_is_delivered_once_and_nothing_is_left(world: Deliveries) -> None:
    shop = world.subscribe("shop", takes(50))
    event = world.put([shop], "o1")
    world.run(600)
    assert world.calls["shop"] == [(world.start, event.id)]
    assert (len(world.queue), is_direct(world), world.attempts.attempts) == (0, True, [])


def test_an_event_of_a_removed_subscription_is_dropped(world: Deliveries) -> None:
    shop = world.subscribe("shop", takes(50))
    world.put([shop], "o1")
    world.store.remove(*shop)
    world.run(10)
    assert (len(world.queue), world.calls["shop"]) == (0, [])


def test_an_event_is_tried_again_after_5_10_20_seconds_and_then_outside_the_queue(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", is_down)
    world.put([shop], "o1")
    world.run(40)
    waits = [at - world.start for at, _ in world.calls["shop"]]
    assert [round(wait / SECOND) for wait in waits] == [0, 5, 11, 23]
    assert len(world.queue) == 1
    world.run(61)
    assert (len(world.queue), world.backlog.size(shop).waiting) == (0, 1)


def test_a_later_event_of_the_buyer_waits_behind_and_other_buyers_do_not(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", refuses(Deferred("answered 500", status=500)))
    first = world.put([shop], "o1", kind=POISON)
    second = world.put([shop], "o1")
    other = world.put([shop], "o2")
    world.run(20)
    assert world.ids("shop") == {other.id}
    world.answers["shop"] = takes(50)
    world.run(600)
    assert [one.event.id for one in world.receipts["shop"]][1:] == [first.id, second.id]
    assert is_direct(world)


def test_what_went_wrong_is_shown_to_the_owner(world: Deliveries) -> None:
    failure = Deferred("answered 503", status=503, excerpt="maintenance")
    shop = world.subscribe("shop", lambda _event: (failure, 70))
    event = world.put([shop], "o1")
    world.run(1)
    [(key, attempt)] = world.attempts.attempts
    assert key == shop
    assert (attempt.event_id, attempt.event_type) == (event.id, event.type)
    assert (attempt.reason, attempt.status, attempt.took_ms) == ("answered 503", 503, 70)
    assert attempt.excerpt == "maintenance"
    error = world.get(shop).last_error
    assert error
    assert (error.reason, error.at) == ("answered 503", world.start + 70)


# -- one event's fault is not its subscriber's


@pytest.mark.parametrize(
    "result",
    [Refused("answered 400"), Deferred("answered 500"), Deferred("timed out")],
    ids=["400", "500", "time-out"],
)
@pytest.mark.parametrize("poisonous", [1, 3, 6])
@pytest.mark.parametrize(("every", "hours"), [(10, 2), (3_600, 23)])
def test_events_that_a_healthy_endpoint_cannot_take_delay_no_other_one(
    world: Deliveries, result: DeliveryResult, poisonous: int, every: int, hours: int
) -> None:
    takes_ms = 5_000 if result == Deferred("timed out") else 50

    def answer(event: Event) -> tuple[DeliveryResult, int]:
        return (result, takes_ms) if event.type == POISON else (Delivered(), 50)

    shop = world.subscribe("shop", answer)
    for number in range(poisonous):
        world.put([shop], f"p{number}", kind=POISON)
    random, at, healthy = Random(3), every / 2, 0
    while at < hours * 3_600:
        healthy += 1
        world.at(at, lambda n=healthy: world.put([shop], f"h{n}"))  # type: ignore[misc]
        at += random.expovariate(1 / every)
    world.run(hours * 3_600 + 60)
    waits = world.waits_ms("shop")
    assert len(waits) == healthy
    assert waits[-1] < MINUTE
    assert world.get(shop).status is SubscriptionStatus.ACTIVE


def test_an_event_refused_for_an_hour_is_dead_and_its_buyers_later_ones_go_on(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", refuses(Refused("answered 422")))
    poison = world.put([shop], "o1", kind=POISON)
    later = [world.put([shop], "o1") for _ in range(3)]
    world.run(3_500)
    assert (world.receipts["shop"], world.backlog.dead(shop)) == ([], [])
    world.run(4_500)
    assert world.backlog.dead(shop) == [(poison.id, "answered 422")]
    assert [one.event.id for one in world.receipts["shop"]] == [one.id for one in later]
    assert world.get(shop).circuit.failures == 0
    assert is_direct(world)


@pytest.mark.parametrize("reason", ["answered 500", "timed out"])
def test_a_fault_that_meets_one_event_only_holds_its_buyer_for_a_day_and_nobody_else(
    world: Deliveries, reason: str
) -> None:
    shop = world.subscribe("shop", refuses(Deferred(reason)))
    poison = world.put([shop], "o1", kind=POISON)
    later: list[Event] = []
    for hour in (1, 12, 23):
        world.at(hour * 3_600, lambda: later.append(world.put([shop], "o1")))
        world.at(hour * 3_600, lambda hour=hour: world.put([shop], f"other-{hour}"))  # type: ignore[misc]
    world.run(24 * 3_600 - 60)
    assert {one.event.openid for one in world.receipts["shop"]} == {
        "other-1",
        "other-12",
        "other-23",
    }
    world.run(24 * 3_600 + 120)
    assert world.backlog.dead(shop) == [(poison.id, "expired")]
    arrived = [one.event.id for one in world.receipts["shop"] if one.event.openid == "o1"]
    assert arrived == [one.id for one in later]


def test_a_refusal_after_a_long_wait_does_not_kill_at_once(world: Deliveries) -> None:
    shop = world.subscribe("shop", refuses(Refused("answered 422")))
    world.pause(shop)
    world.put([shop], "o1", kind=POISON)
    world.at(5 * 3_600, lambda: world.resume(shop))
    world.run(5 * 3_600 + 1_800)
    assert len(world.calls["shop"]) > 5
    assert world.backlog.dead(shop) == []
    world.run(5 * 3_600 + 4_500)
    assert len(world.backlog.dead(shop)) == 1


def test_a_wish_to_be_left_alone_is_granted_for_half_an_hour_at_most(world: Deliveries) -> None:
    shop = world.subscribe("shop", lambda _event: (Deferred("answered 503", 30 * MINUTE), 50))
    world.put([shop], "o1")
    world.at(60, lambda: world.answers.update(shop=takes(50)))
    world.at(120, lambda: world.put([shop], "o2"))
    world.run(1_700)
    assert len(world.calls["shop"]) == 1
    world.run(2_000)
    assert len(world.receipts["shop"]) == 2


# -- 410


def test_one_410_disables_nothing(world: Deliveries) -> None:
    shop = world.subscribe("shop", refuses(Gone("answered 410")))
    world.put([shop], "o1", kind=POISON)
    for minute in range(1, 50):
        world.at(minute * 60, lambda: world.put([shop], "o2"))
    world.run(3_000)
    assert world.get(shop).status is SubscriptionStatus.ACTIVE
    assert len(world.receipts["shop"]) == 49


def test_a_410_for_a_minute_disables_and_a_caller_gets_everything_after_all(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", lambda _event: (Gone("answered 410"), 50))
    events = [world.put([shop], f"o{number}") for number in range(3)]
    world.run(50)
    assert world.get(shop).status is SubscriptionStatus.ACTIVE
    world.run(900)
    stopped = world.get(shop)
    assert (stopped.status, stopped.status_reason) == (
        SubscriptionStatus.DISABLED,
        "answered 410",
    )
    assert not stopped.wants(events[0])
    [notice] = world.stops.events.values()
    assert (notice.type, notice.business_id) == (EventType.SUBSCRIPTION_PAUSED, "42")
    assert notice.data["status"] == "disabled"
    world.answers["shop"] = takes(50)
    world.resume(shop)
    world.run(1_000)
    assert world.ids("shop") == {event.id for event in events}


# -- a subscriber that is down


def test_a_dead_subscriber_is_left_alone_and_its_events_leave_the_queue(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", is_down)
    for number in range(2_000):
        world.at(number / 2, lambda n=number: world.put([shop], f"o{n % 300}"))  # type: ignore[misc]
    world.run(1_000)
    assert len(world.queue) < 2 * 70
    assert len(world.calls["shop"]) < 100
    world.at(1_100, lambda: world.answers.update(shop=takes(50)))
    world.run(1_400)
    assert len(world.ids("shop")) == 2_000
    assert world.in_order("shop")
    assert is_direct(world)


def test_after_a_day_of_failures_it_is_paused_and_others_are_notified(world: Deliveries) -> None:
    shop = world.subscribe("shop", is_down, ANY_MERCHANT)
    for number in range(6):
        world.at(number * 4 * 3_600, lambda n=number: world.put([shop], f"o{n}"))  # type: ignore[misc]
    world.run(23 * 3_600)
    assert world.get(shop).status is SubscriptionStatus.ACTIVE
    world.run(26 * 3_600)
    stopped = world.get(shop)
    assert stopped.status is SubscriptionStatus.PAUSED
    assert stopped.status_reason == "failing: connection failed"
    [notice] = world.stops.events.values()
    assert notice.business_id == MAIN_ACCOUNT
    assert notice.data["failing_since"] is not None


def test_what_has_waited_for_a_day_is_dead_and_can_be_recovered(world: Deliveries) -> None:
    shop = world.subscribe("shop", takes(50))
    world.pause(shop)
    for number in range(10):
        world.at(number * 3_600, lambda n=number: world.put([shop], f"o{n % 2}"))  # type: ignore[misc]
    world.run(29.5 * 3_600)
    assert world.backlog.size(shop) == BacklogSize(4, world.start + 6 * HOUR, 6)
    since = world.start + 2 * HOUR
    world.at(30 * 3_600, lambda: world.manager().recover(*shop, since))
    world.run(31 * 3_600)
    assert world.order("shop") == {"o0": [3, 5, 7, 9], "o1": [4, 6, 8, 10]}
    assert world.backlog.size(shop).dead == 2
    assert is_direct(world)
    assert world.start + DAY < world.clock()


# -- pause and resume


def test_the_events_of_a_pause_leave_the_queue_and_arrive_in_order_after_the_resume(
    world: Deliveries,
) -> None:
    shop = world.subscribe("shop", takes(50))
    world.pause(shop)
    for number in range(2_000):
        world.put([shop], f"o{number % 500}")
    world.run(120)
    assert (len(world.queue), world.backlog.size(shop).waiting) == (0, 2_000)
    world.resume(shop)
    for number in range(600):
        world.at(120 + number / 50, lambda n=number: world.put([shop], f"o{n % 500}"))  # type: ignore[misc]
    world.run(132)
    assert len(world.receipts["shop"]) > 10 * 150, "hundreds a second"
    world.run(150)
    assert len(world.receipts["shop"]) == len(world.ids("shop")) == 2_600
    assert world.in_order("shop")
    assert is_direct(world)


def test_a_pause_in_the_middle_of_a_drain_keeps_the_order(world: Deliveries) -> None:
    shop = world.subscribe("shop", takes(200))
    world.pause(shop)
    for number in range(1_000):
        world.at(number / 10, lambda n=number: world.put([shop], f"o{n % 20}"))  # type: ignore[misc]
    for at, action in enumerate([world.resume, world.pause] * 7 + [world.resume]):
        world.at(30 + 5 * at, lambda action=action: action(shop))  # type: ignore[misc]
    world.run(400)
    assert len(world.ids("shop")) == 1_000
    assert world.in_order("shop")


def test_the_backlog_of_a_removed_subscription_is_dropped(world: Deliveries) -> None:
    shop = world.subscribe("shop", takes(50))
    world.pause(shop)
    for number in range(50):
        world.put([shop], f"o{number}")
    world.run(60)
    world.store.remove(*shop)
    world.run(200)
    assert world.backlog.size(shop) == BacklogSize()
    assert list(world.backlog.parked_subscriptions()) == []
    assert world.calls["shop"] == []


# -- nobody takes more than a share


def test_a_subscriber_that_is_slow_and_says_200_costs_the_others_nothing() -> None:
    world = Deliveries()
    slow, quick = world.subscribe("slow", takes(4_900)), world.subscribe("quick", takes(50))
    random = Random(5)
    for key, rate in ((slow, 10), (quick, 50)):
        at = 0.0
        while at < 60:
            at += random.expovariate(rate)
            world.at(at, lambda key=key, at=at: world.put([key], f"o{at}"))  # type: ignore[misc]
    world.run(90)
    waits = world.waits_ms("quick")
    assert median(waits) < SECOND
    assert waits[round(0.99 * len(waits))] < 10 * SECOND
    assert len(world.ids("slow")) > 0.9 * 60 * 10, "the slow one keeps up, too"
    world.run(900)
    assert world.in_order("slow")
    assert is_direct(world, "slow")


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_slow_answers_change_nothing(world: Deliveries, count: int) -> None:
    shop = world.subscribe("shop", takes(2_000))
    for number in range(count):
        world.put([shop], f"o{number}")
    world.run(10)
    assert world.get(shop).slow_until == 0


def test_every_lambda_only_has_what_its_settings_say(
    world: Deliveries, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = world.subscribe("shop", refuses(Refused("answered 400")))
    world.put([shop], "o1", kind=POISON)
    world.run(3_900)
    assert "RecordsFailed" not in capsys.readouterr().out
