"""One event in, one delivery for each subscriber that wants it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import FakeClock, RecordingDeliveries
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)

WEBHOOK = Target(TargetType.WEBHOOK, "https://merchant.example/hook")
RECEIVED = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "buyer", 1_000, {})


@dataclass
class Lister:
    """`SubscriptionLister`; `down` makes it fail."""

    subscriptions: list[Subscription]
    down: bool = False

    def list(self, business_id: str) -> list[Subscription]:
        if self.down:
            raise UnavailableError("DynamoDB does not answer")
        return [one for one in self.subscriptions if one.business_id == business_id]


@dataclass
class Setting:
    """A fan-out with its surroundings in memory."""

    lister: Lister
    deliveries: RecordingDeliveries = field(default_factory=RecordingDeliveries)

    def __post_init__(self) -> None:
        self.fan_out = FanOut(self.lister, self.deliveries, FakeClock(5_000))

    def subscribers(self) -> list[str]:
        return [subscription_id for _, subscription_id in self.deliveries.deliveries]


def test_everyone_who_wants_it_gets_it_and_nobody_else() -> None:
    def subscription(name: str, business_id: str, *types: str) -> Subscription:
        return Subscription(business_id, name, WEBHOOK, frozenset(types))

    setting = Setting(
        Lister(
            [
                subscription("mine", "42"),
                subscription("mine, other types", "42", EventType.MESSAGE_SENT),
                subscription("mine, this type", "42", EventType.MESSAGE_RECEIVED),
                replace(subscription("switched off", "42"), status=SubscriptionStatus.DISABLED),
                subscription("a neighbour's", "43"),
                subscription("everyone's", ANY_MERCHANT),
            ]
        )
    )
    setting.fan_out.put(RECEIVED)
    assert setting.subscribers() == ["mine", "mine, this type", "everyone's"]
    for delivery in setting.deliveries.deliveries.values():
        assert delivery.event == RECEIVED
        assert delivery.queued_at == 5_000
    owners = [one.subscription_business_id for one in setting.deliveries.deliveries.values()]
    assert owners == ["42", "42", ANY_MERCHANT]


def test_many_events_of_a_merchant_go_to_each_subscriber_in_their_order() -> None:
    setting = Setting(
        Lister([Subscription("42", "mine", WEBHOOK), Subscription("43", "a neighbour's", WEBHOOK)])
    )
    events = [replace(RECEIVED, id=f"e{number}") for number in range(25)]
    setting.fan_out.put_all(events)
    assert list(setting.deliveries.deliveries) == [(event.id, "mine") for event in events]


def test_an_event_that_nobody_wants_costs_no_queue_request() -> None:
    setting = Setting(
        Lister([Subscription("42", "other types", WEBHOOK, frozenset({EventType.MESSAGE_SENT}))])
    )
    setting.deliveries.down = True  # a request would fail
    setting.fan_out.put(RECEIVED)
    assert setting.subscribers() == []


def test_a_queue_that_is_down_fails_the_event_so_that_it_comes_again() -> None:
    setting = Setting(Lister([Subscription("42", "mine", WEBHOOK)]))
    setting.deliveries.down = True
    with pytest.raises(UnavailableError):
        setting.fan_out.put(RECEIVED)
    setting.deliveries.down = False
    setting.fan_out.put(RECEIVED)
    setting.fan_out.put(RECEIVED)
    assert setting.subscribers() == ["mine"]


def test_subscriptions_that_cannot_be_read_fail_the_event() -> None:
    setting = Setting(Lister([], down=True))
    with pytest.raises(UnavailableError):
        setting.fan_out.put(RECEIVED)
