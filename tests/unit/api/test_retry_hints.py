"""How long a caller is asked to wait before a request is repeated."""

from __future__ import annotations

import pytest

from wechat_kf.api import problems
from wechat_kf.api.retry_hints import retry_after_seconds
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, from_rfc3339

MIDNIGHT_IN_BEIJING = from_rfc3339("2026-01-02T16:00:00.000Z")


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        (1, 1),
        (1_000, 1),
        (1_001, 2),
        (MINUTE, 60),
        (HOUR - 1, 3600),
        (HOUR, 3600),
        (2 * HOUR, 3600),
        (DAY, 3600),
    ],
)
def test_a_daily_quota_is_worth_asking_again_at_midnight_or_in_an_hour(
    before: int, seconds: int
) -> None:
    assert retry_after_seconds("daily_quota_used_up", MIDNIGHT_IN_BEIJING - before) == seconds


def test_at_midnight_a_whole_day_begins() -> None:
    assert retry_after_seconds("daily_quota_used_up", MIDNIGHT_IN_BEIJING) == 3600


def test_the_wait_fits_its_reason() -> None:
    assert retry_after_seconds("called_too_often", 0) == 60
    assert retry_after_seconds("conversation_full", 0) == 10


def test_every_429_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "now_ms", lambda: MIDNIGHT_IN_BEIJING - 5 * MINUTE)
    answer = problems.problem(429, "daily_quota_used_up", "used up")
    assert answer.headers["Retry-After"] == "300"
    assert "Retry-After" not in problems.problem(409, "conflict", "no").headers
