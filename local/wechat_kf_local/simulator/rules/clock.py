"""The simulated time: the real one, plus what a test has advanced it by."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

CHINA = timezone(timedelta(hours=8))


class Clock:
    """Unix time in seconds. Quota days and months are those of China, as WeChat's are."""

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._advanced = 0.0

    def now(self) -> float:
        return self._base() + self._advanced

    def advance(self, seconds: float) -> None:
        self._advanced += seconds

    def reset(self) -> None:
        self._advanced = 0.0

    def day(self) -> str:
        return self._local().strftime("%Y-%m-%d")

    def month(self) -> str:
        return self._local().strftime("%Y-%m")

    def minute(self) -> int:
        return int(self.now() // 60)

    def _local(self) -> datetime:
        return datetime.fromtimestamp(self.now(), CHINA)
