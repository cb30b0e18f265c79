"""What one tenant does costs another nothing, under AWS's own limits made small."""

from __future__ import annotations

from random import Random

import pytest

from tests.chaos.deliveries import Answer, Deliveries, is_down, takes
from tests.chaos.sqs import Limits
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.subscriptions.delivery import Delivered, DeliveryResult, Refused
from wechat_kf.domain.subscriptions.subscription import SubscriptionKey

LIMITS = Limits(scan_window=240, most_in_flight=240)
"""AWS's, 1:500. The rate below is as much smaller than what brings AWS to its limits."""

SHOPS = 5
EVENTS = 10 * LIMITS.scan_window
SECONDS = EVENTS / 2
BUYERS = 200


def refuse_some(event: Event) -> tuple[DeliveryResult, int]:
    """Refuse one kind of event."""
    refused = event.type == EventType.SESSION_ENTERED
    return (Refused("answered 400") if refused else Delivered()), 50


NEIGHBOURS: dict[str, Answer] = {
    "dead": is_down,
    "paused": takes(50),
    "picky": refuse_some,
    "slow": takes(4_900),
}


def run(neighbours: dict[str, Answer]) -> tuple[Deliveries, list[SubscriptionKey]]:
    """Two events a second for as long as ten times the window takes."""
    world = Deliveries(LIMITS)
    shops = [world.subscribe(f"shop{n}", takes(50), str(n + 1)) for n in range(SHOPS)]
    others = [world.subscribe(name, answer, ANY_MERCHANT) for name, answer in neighbours.items()]
    for key in others:
        if key[1] == "paused":
            world.pause(key)
    random = Random(7)
    for number in range(EVENTS):
        shop = random.choice(shops)
        kind = random.choices([EventType.MESSAGE_RECEIVED, EventType.SESSION_ENTERED], [9, 1])[0]
        buyer = f"{shop[1]}-{random.randrange(BUYERS)}"

        def happen(shop: SubscriptionKey = shop, buyer: str = buyer, kind: str = kind) -> None:
            world.put([shop, *others], buyer, kind=kind)

        world.at(number / 2, happen)
    world.run(SECONDS + 30)
    return world, others


def p99(world: Deliveries) -> int:
    waits = sorted(wait for n in range(SHOPS) for wait in world.waits_ms(f"shop{n}"))
    assert len(waits) == EVENTS, "all of it has arrived"
    return waits[round(0.99 * len(waits)) - 1]


def test_no_neighbour_costs_the_healthy_ones_anything(capsys: pytest.CaptureFixture[str]) -> None:
    alone, _ = run({})
    beside, others = run(NEIGHBOURS)
    assert p99(beside) <= 1.2 * p99(alone)
    waiting = {key[1]: beside.backlog.size(key).waiting for key in others}
    assert waiting["dead"] > 9 * LIMITS.scan_window
    assert waiting["paused"] == EVENTS

    beside.answers["dead"] = takes(50)
    beside.resume((ANY_MERCHANT, "paused"))
    beside.run(SECONDS + 8 * 3_600)  # refused events of one buyer are dead an hour after each other

    with capsys.disabled():
        print(f"\n{EVENTS} events, waiting at most in the queue {beside.most_waiting}: {waiting}")
    for name in ("dead", "paused", "slow"):
        assert len(beside.ids(name)) == EVENTS, name
        assert beside.in_order(name), name
    refused = len(beside.backlog.dead((ANY_MERCHANT, "picky")))
    assert len(beside.ids("picky")) + refused == EVENTS
    assert beside.in_order("picky")
    assert len(beside.queue) == 0
