"""Calls per day and per minute, and their resets (docs/wechat-api.md, sections 11 and 12)."""

from collections import Counter

from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.settings import Settings


class Quotas:
    """What each path has used of its limits."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._day, self._by_day = clock.day(), Counter[str]()
        self._minute, self._by_minute = clock.minute(), Counter[str]()
        self._resets = Counter[str]()

    def spend(self, path: str) -> None:
        """Count a call. Raises Refused when there is none left; a refused call does not count."""
        self._roll()
        if self._by_minute[path] >= self.minute_limit(path):
            raise Refused(45011)
        if self._by_day[path] >= self.daily_limit(path):
            raise Refused(45009)
        self._by_minute[path] += 1
        self._by_day[path] += 1

    def used(self, path: str) -> int:
        self._roll()
        return self._by_day[path]

    def daily_limit(self, path: str) -> int:
        return self._settings.daily_limits.get(path, self._settings.daily_limit)

    def minute_limit(self, path: str) -> int:
        return self._settings.minute_limits.get(path, self._settings.minute_limit)

    def clear(self) -> None:
        """Give every daily quota back. Raises Refused after ten times in a month."""
        month = self._clock.month()
        if self._resets[month] >= self._settings.quota_resets_per_month:
            raise Refused(48006)
        self._resets[month] += 1
        self._by_day.clear()

    def reset(self) -> None:
        self._by_day.clear()
        self._by_minute.clear()
        self._resets.clear()

    def _roll(self) -> None:
        if self._clock.day() != self._day:
            self._day = self._clock.day()
            self._by_day.clear()
        if self._clock.minute() != self._minute:
            self._minute = self._clock.minute()
            self._by_minute.clear()
