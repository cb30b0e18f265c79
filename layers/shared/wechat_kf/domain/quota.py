"""What WeChat still allows today, API by API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ApiQuota:
    """The calls of one API per day, and its rate limit where it has one.

    `error` is WeChat's reason (our stable word) when it does not tell the numbers.
    """

    api: str
    path: str
    daily_limit: int | None = None
    used: int | None = None
    remaining: int | None = None
    per_period: int | None = None
    period_seconds: int | None = None
    error: str | None = None


class QuotaReader(Protocol):
    """Asks WeChat: one call for each API."""

    def quotas(self) -> Sequence[ApiQuota]: ...
