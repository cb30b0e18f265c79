"""When to try again, and when to stop."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.delivery import (
    RETENTION_MS,
    Delivery,
    backoff_ms,
    lane_of,
)


def test_pauses_grow_from_seconds_to_minutes() -> None:
    waited, pauses = 0, []
    while waited < RETENTION_MS:
        pauses.append(backoff_ms(waited))
        waited += pauses[-1]
    assert pauses[:4] == [5 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 10 * MINUTE
    assert 140 <= len(pauses) <= 160, "tries within the retention"


@given(integers())
def test_there_is_always_a_pause(tried_for_ms: int) -> None:
    assert 5 * SECOND <= backoff_ms(tried_for_ms) <= 10 * MINUTE


def test_the_events_of_a_buyer_for_a_subscription_are_a_lane() -> None:
    event = Event("e1", EventType.MESSAGE_SENT, "wx1", "42", "o1", 0, {})
    delivery = Delivery("42", "s1", event, 1_000)
    assert delivery.lane == lane_of("s1", "o1") != lane_of("s2", "o1") != lane_of("s1", "o2")
    assert lane_of("s1", "\ud800").isalnum(), "a name that SQS takes"
