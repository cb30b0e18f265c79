"""A pushed event: delivered and recorded, and delivered even when it cannot be recorded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.messages.inbound import Inbound

RECEIVED = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "buyer", 1_000, {})
ENTERED = replace(RECEIVED, id="e2", type=EventType.SESSION_ENTERED)
UNKNOWN = replace(RECEIVED, id="e3", type=EventType.PUSH_UNKNOWN)


@dataclass
class Steps:
    """Stands in for everything around `Inbound`; `down` names the steps that fail."""

    done: list[tuple[str, object]] = field(default_factory=list)
    down: set[str] = field(default_factory=set)

    def note(self, step: str, what: object) -> None:
        if step in self.down:
            raise UnavailableError(f"{step} is down")
        self.done.append((step, what))

    def record_message(self, business_id: str, openid: str, at_ms: int) -> None:
        self.note("message", (business_id, openid, at_ms))

    def record_entry(self, business_id: str, openid: str, at_ms: int) -> None:
        self.note("entry", (business_id, openid, at_ms))

    def keep(self, event: Event) -> None:
        self.note("transcript", event.id)


@dataclass
class Queue:
    """An `EventQueue` that notes what it takes."""

    steps: Steps
    name: str

    def put(self, event: Event) -> None:
        self.steps.note(self.name, event.id)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def inbound(steps: Steps) -> Inbound:
    return Inbound(
        conversations=steps,  # type: ignore[arg-type]
        transcript=steps,
        subscribers=Queue(steps, "delivery"),
        unrecorded=Queue(steps, "unrecorded"),
    )


def test_a_message_moves_the_window_then_is_delivered_then_kept(
    inbound: Inbound, steps: Steps
) -> None:
    """A subscriber that replies immediately finds the conversation."""
    inbound.handle(RECEIVED)
    assert steps.done == [
        ("message", ("42", "buyer", 1_000)),
        ("delivery", "e1"),
        ("transcript", "e1"),
    ]


def test_an_entry_moves_the_window_and_is_not_kept(inbound: Inbound, steps: Steps) -> None:
    inbound.handle(ENTERED)
    assert steps.done == [("entry", ("42", "buyer", 1_000)), ("delivery", "e2")]


def test_any_other_event_is_only_delivered(inbound: Inbound, steps: Steps) -> None:
    inbound.handle(UNKNOWN)
    assert steps.done == [("delivery", "e3")]


@pytest.mark.parametrize("down", ["message", "transcript"])
def test_a_table_that_is_down_stops_no_delivery(inbound: Inbound, steps: Steps, down: str) -> None:
    steps.down = {down}
    inbound.handle(RECEIVED)
    assert ("delivery", "e1") in steps.done
    assert steps.done[-1] == ("unrecorded", "e1")


def test_what_was_not_recorded_is_recorded_later_and_not_delivered_again(
    inbound: Inbound, steps: Steps
) -> None:
    inbound.record(RECEIVED)
    inbound.record(ENTERED)
    assert [step for step, _ in steps.done] == ["message", "transcript", "entry"]


@pytest.mark.parametrize("down", ["message", "transcript"])
def test_a_record_that_still_fails_comes_again(inbound: Inbound, steps: Steps, down: str) -> None:
    steps.down = {down}
    with pytest.raises(UnavailableError):
        inbound.record(RECEIVED)


@pytest.mark.parametrize("down", [{"delivery"}, {"message", "unrecorded"}])
def test_an_event_that_is_not_safe_anywhere_comes_again(
    inbound: Inbound, steps: Steps, down: set[str]
) -> None:
    steps.down = down
    with pytest.raises(UnavailableError):
        inbound.handle(RECEIVED)
