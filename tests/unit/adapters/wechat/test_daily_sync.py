"""The daily reconciliation: its time, its log, its tries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from wechat_kf.adapters.wechat.daily_sync import PAUSES, SPARE_MS, sync_daily
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.merchants.reconciliation import SyncReport
from wechat_kf.wechat import operations
from wechat_kf.wechat.errors import TransportError, api_error

DONE = SyncReport(listed=3, added=("1", "2"), missing=("4",), unreadable=("5",))
FACTS = {
    "listed": 3,
    "added": 2,
    "changed": 0,
    "missing": 1,
    "conflicting": 0,
    "unreadable": 1,
    "complete": True,
}
FAILURES = [
    UnavailableError("DynamoDB did not answer"),
    TransportError(operations.LIST, sent="perhaps", reason="read timeout"),
    api_error(-1, "system busy rid: 6114dedc-7e90330d-3fb31e22", operations.LIST),
]


@dataclass
class Day:
    """One invocation of 60 s; `outcomes` are those of its tries."""

    outcomes: list[SyncReport | Exception]
    left_ms: int = 60_000
    budgets: list[int] = field(default_factory=list)
    logged: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        return sync_daily(self._sync, lambda: self.left_ms, self._pause)

    def _sync(self, budget_ms: int) -> SyncReport:
        self.budgets.append(budget_ms)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _pause(self, seconds: float) -> None:
        self.left_ms -= int(seconds * 1_000)

    def log(self, level: str) -> Callable[..., None]:
        return lambda message, **fields: self.logged.append((level, message, fields))


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    made = Day([DONE])
    for level in ("info", "warning", "error"):
        name = f"wechat_kf.adapters.wechat.daily_sync.logger.{level}"
        monkeypatch.setattr(name, made.log(level))
    return made


def test_it_uses_the_functions_time_and_logs_what_it_found(day: Day) -> None:
    assert day.run() == FACTS
    assert day.budgets == [60_000 - SPARE_MS]
    assert day.logged == [("info", "merchants reconciled", FACTS)]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_is_logged_and_tried_again(day: Day, failure: Any) -> None:
    day.outcomes = [failure, failure, DONE]
    assert day.run() == FACTS
    assert day.budgets == [50_000, 45_000, 30_000]
    (level, message, fields), *_ = day.logged
    assert (level, message) == ("warning", "merchant reconciliation failed")
    assert fields["code"] == failure.code
    assert fields["errcode"] == getattr(failure, "errcode", None)
    assert fields["rid"] == getattr(failure, "rid", None)


def test_after_the_last_try_it_says_so_and_raises_nothing(day: Day) -> None:
    day.outcomes = [FAILURES[1]] * len(PAUSES)
    assert day.run() == {"complete": False}
    assert [level for level, *_ in day.logged] == ["warning"] * len(PAUSES) + ["error"]


@pytest.mark.parametrize(("left_ms", "tries"), [(SPARE_MS, 0), (SPARE_MS + 1, 1)])
def test_without_time_it_does_not_start(day: Day, left_ms: int, tries: int) -> None:
    day.left_ms, day.outcomes = left_ms, [DONE]
    day.run()
    assert len(day.budgets) == tries


def test_a_fault_of_ours_is_not_swallowed(day: Day) -> None:
    day.outcomes = [KeyError("ours")]
    with pytest.raises(KeyError):
        day.run()
