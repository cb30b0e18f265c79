"""When the head of a lane is due, and what a parked event remembers of its attempts."""

from __future__ import annotations

import pytest

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import Parked, Place
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS, Delivery

NOW = 1_767_225_600_000
TRIED_FOR_A_MINUTE = Place("lane", "e1", tried_since=NOW, tried_at=NOW + MINUTE)


def delivery() -> Delivery:
    event = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "o1", NOW, {})
    return Delivery("42", "sub_1", event, NOW)


def attempts(parked: Parked) -> tuple[int, int, int]:
    return parked.tried_since, parked.tried_at, parked.refused_since


@pytest.mark.parametrize(
    ("recovered_at", "due_at"),
    [
        (0, NOW + 2 * MINUTE),
        (NOW + 40 * SECOND, NOW + 80 * SECOND),  # tried for 20 s since
        (NOW + MINUTE - 1, NOW + MINUTE + 5 * SECOND),
        (NOW + MINUTE, 0),
        (NOW + MINUTE + 1, 0),
    ],
)
def test_a_head_is_due_by_its_attempts_and_at_once_after_a_recovery(
    recovered_at: int, due_at: int
) -> None:
    assert TRIED_FOR_A_MINUTE.due_at(Circuit(recovered_at=recovered_at)) == due_at


def test_a_head_that_was_never_tried_is_due_at_once() -> None:
    assert Place("lane", "e1").due_at(Circuit()) == 0


def test_what_comes_from_the_queue_untried_has_no_attempts() -> None:
    parked = Parked.of(delivery())
    assert attempts(parked) == (0, 0, 0)
    assert parked.expires_at == NOW + RETENTION_MS
    assert parked.place == Place(parked.delivery.lane, "e1")


def test_what_failed_in_the_queue_has_been_tried_since_it_was_queued() -> None:
    assert attempts(Parked.of(delivery(), tried_at=NOW + 9)) == (NOW, NOW + 9, 0)
    assert attempts(Parked.of(delivery(), tried_at=NOW + 9, refused=True)) == (NOW, NOW + 9, NOW)


def test_an_attempt_moves_the_latest_and_keeps_the_first() -> None:
    once = Parked.of(delivery()).note_attempt(NOW + 5, refused=True)
    assert attempts(once) == (NOW + 5, NOW + 5, NOW + 5)
    assert attempts(once.note_attempt(NOW + 9, refused=True)) == (NOW + 5, NOW + 9, NOW + 5)
    assert attempts(once.note_attempt(NOW + 9, refused=False)) == (NOW + 5, NOW + 9, 0)


def test_what_is_revived_has_no_attempts_and_a_day_again() -> None:
    tried = Parked.of(delivery(), tried_at=NOW + 9, refused=True)
    revived = tried.revive(NOW + 100)
    assert attempts(revived) == (0, 0, 0)
    assert revived.expires_at == NOW + 100 + RETENTION_MS
