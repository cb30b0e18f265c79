"""One event in: the window, the transcript, one delivery per subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.errors import UnavailableError

WEBHOOK = Target(TargetType.WEBHOOK, "https://merchant.example/hook")
RECEIVED = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "buyer", 1_000, {})
ENTERED = replace(RECEIVED, id="e2", type=EventType.SESSION_ENTERED)


@dataclass
class Recorder:
    """Stands in for everything the fan-out talks to, and notes what it was told."""

    subscriptions: list[Subscription] = field(default_factory=list)
    notes: list[tuple[object, ...]] = field(default_factory=list)
    delivered: list[Delivery] = field(default_factory=list)
    queue_is_down: bool = False

    def record_message(self, business_id: str, openid: str, at_ms: int) -> None:
        self.notes.append(("message", business_id, openid, at_ms))

    def record_entry(self, business_id: str, openid: str, at_ms: int) -> None:
        self.notes.append(("entry", business_id, openid, at_ms))

    def keep(self, event: Event) -> None:
        self.notes.append(("kept", event.id))

    def list(self, business_id: str) -> Sequence[Subscription]:
        return [s for s in self.subscriptions if s.business_id == business_id]

    def put(self, deliveries: Sequence[Delivery]) -> None:
        if self.queue_is_down:
            raise UnavailableError("SQS does not answer")
        self.delivered.extend(deliveries)


def fan_out(recorder: Recorder) -> FanOut:
    return FanOut(recorder, recorder, recorder, recorder, lambda: 5_000)  # type: ignore[arg-type]


def names(recorder: Recorder) -> list[str]:
    return [delivery.subscription_id for delivery in recorder.delivered]


def test_a_message_moves_the_window_and_is_kept() -> None:
    recorder = Recorder()
    fan_out(recorder).handle(RECEIVED)
    assert recorder.notes == [("message", "42", "buyer", 1_000), ("kept", "e1")]


def test_an_entry_moves_the_window_and_is_not_kept() -> None:
    recorder = Recorder()
    fan_out(recorder).handle(ENTERED)
    assert recorder.notes == [("entry", "42", "buyer", 1_000)]


def test_an_outcome_moves_nothing() -> None:
    recorder = Recorder()
    fan_out(recorder).handle(replace(RECEIVED, type=EventType.MESSAGE_SENT))
    assert recorder.notes == []


def test_everybody_who_wants_it_gets_it_and_nobody_else() -> None:
    def subscription(name: str, business_id: str, *types: str) -> Subscription:
        return Subscription(business_id, name, WEBHOOK, frozenset(types))

    recorder = Recorder(
        [
            subscription("mine", "42"),
            subscription("mine, other types", "42", EventType.MESSAGE_SENT),
            subscription("mine, this type", "42", EventType.MESSAGE_RECEIVED),
            replace(subscription("switched off", "42"), status=SubscriptionStatus.DISABLED),
            subscription("a neighbour's", "43"),
            subscription("everyone's", ANY_MERCHANT),
        ]
    )
    fan_out(recorder).handle(RECEIVED)
    assert names(recorder) == ["mine", "mine, this type", "everyone's"]
    assert {delivery.queued_at for delivery in recorder.delivered} == {5_000}


def test_a_queue_that_is_down_fails_the_event_so_that_it_comes_again() -> None:
    recorder = Recorder([Subscription("42", "mine", WEBHOOK)], queue_is_down=True)
    with pytest.raises(UnavailableError):
        fan_out(recorder).handle(RECEIVED)
    recorder.queue_is_down = False
    fan_out(recorder).handle(RECEIVED)
    assert names(recorder) == ["mine"]
