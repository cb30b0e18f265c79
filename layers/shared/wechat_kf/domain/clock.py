"""Time, as the rules use it: whole milliseconds since the epoch, handed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

Clock = Callable[[], int]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now_ms() -> int:
    """The real clock, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """An instant as UTC text with milliseconds, such as `2026-01-02T03:04:05.678Z`."""
    day, rest = divmod(at_ms, DAY)
    hours, rest = divmod(rest, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    seconds, milliseconds = divmod(rest, SECOND)
    return f"{_date(day)}T{hours:02d}:{minutes:02d}:{seconds:02d}.{milliseconds:03d}Z"


@lru_cache(maxsize=8)
def _date(day: int) -> str:
    # Kept, because every push needs it and nearly all are of one day.
    return time.strftime("%Y-%m-%d", time.gmtime(day * (DAY // SECOND)))


def from_rfc3339(text: str) -> int:
    """The inverse of `rfc3339`. Raises `ValueError` for other text."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
