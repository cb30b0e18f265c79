"""The latest failed attempts of each subscription, in the backlog table."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from wechat_kf.adapters.aws.dynamo import Attributes, Query, Table
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import DAY, MINUTE, SECOND, Clock
from wechat_kf.domain.remembered import Remembered
from wechat_kf.domain.subscriptions.delivery import FailedAttempt
from wechat_kf.domain.subscriptions.subscription import SubscriptionKey
from wechat_kf.observability import logger

KEPT_MS = 3 * DAY
MOST_A_MINUTE = 20
"""Attempts that one worker records of one subscription; more of the same tell nothing new."""


class AttemptsTable:
    """Implements `AttemptLog`. Key: `subscription`, `entry` (`attempt#<time>#<random>`)."""

    def __init__(self, client: Any, table_name: str, clock: Clock) -> None:
        self._table = Table(client, table_name)
        self._clock = clock
        self._written: Remembered[SubscriptionKey, list[int]] = Remembered(clock, MINUTE)

    def add(self, key: SubscriptionKey, attempt: FailedAttempt) -> None:
        written = self._written.get(key, list)
        if len(written) >= MOST_A_MINUTE:
            return
        written.append(attempt.at)
        entry = f"attempt#{attempt.at:013d}#{uuid.uuid4().hex[:8]}"
        end = (attempt.at + KEPT_MS) // SECOND
        try:
            self._table.put(
                {
                    "subscription": "#".join(key),
                    "entry": entry,
                    "delete_at_seconds": end,
                    **asdict(attempt),
                }
            )
        except UnavailableError as error:
            logger.warning("failed attempt not recorded", reason=error.detail)

    def latest(self, key: SubscriptionKey, limit: int) -> Sequence[FailedAttempt]:
        rows, _ = self._table.query(
            Query(
                "#subscription = :subscription AND #entry BETWEEN :first AND :last",
                {":subscription": "#".join(key), ":first": "attempt#", ":last": "attempt~"},
                limit=limit,
                newest_first=True,
                consistent=True,
            )
        )
        return [_attempt(row) for row in rows]


def _attempt(row: Attributes) -> FailedAttempt:
    return FailedAttempt(
        at=row["at"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        reason=row["reason"],
        status=row["status"],
        took_ms=row["took_ms"],
        excerpt=row["excerpt"],
    )
