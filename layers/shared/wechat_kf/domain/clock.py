"""Time in whole milliseconds since the epoch; rules get it from a `Clock`."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

Clock = Callable[[], int]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now_ms() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(at_ms: int) -> str:
    """Format a time as UTC text with milliseconds, such as `2026-01-02T03:04:05.678Z`."""
    seconds, milliseconds = divmod(at_ms, SECOND)
    # A datetime would take twice as long, and every push needs this.
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"


def rfc3339_or_none(at_ms: int) -> str | None:
    """Like `rfc3339`; None for 0, which stands for never."""
    return rfc3339(at_ms) if at_ms else None


def from_rfc3339(text: str) -> int:
    """Parse the text of `rfc3339`. Raises `ValueError` for other text."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)
