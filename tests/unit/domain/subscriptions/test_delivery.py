"""When to try again, and when to stop."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers

from wechat_kf.domain.clock import DAY, HOUR, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS, Delivery, backoff_ms


def test_pauses_grow_from_seconds_to_hours() -> None:
    waited, pauses = 0, []
    while waited < RETENTION_MS:
        pauses.append(backoff_ms(waited))
        waited += pauses[-1]
    assert pauses[:4] == [5 * SECOND, 5 * SECOND, 10 * SECOND, 20 * SECOND]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 2 * HOUR
    assert 20 <= len(pauses) <= 30, "tries within the retention"


@given(integers())
def test_there_is_always_a_pause(tried_for_ms: int) -> None:
    assert 5 * SECOND <= backoff_ms(tried_for_ms) <= 2 * HOUR


def test_a_delivery_waits_for_a_day() -> None:
    event = Event("e1", EventType.MESSAGE_SENT, "wx1", "42", "o1", 0, {})
    assert Delivery("42", "sub_1", event, 1_000).expires_at == 1_000 + DAY
