"""What operators see of each attempt."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.fakes import make_message_id
from wechat_kf.adapters.wechat.outcome_log import log_outcome
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Unknown,
    Wait,
)


@pytest.fixture(autouse=True)
def namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tests")


Logs = tuple[pytest.CaptureFixture[str], pytest.LogCaptureFixture]


@pytest.fixture
def logs(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Logs:
    caplog.set_level(logging.INFO)
    return capsys, caplog


def reported(logs: Logs, outcome: Outcome, status: Status) -> list[str]:
    """The names of the metrics that were counted."""
    capsys, caplog = logs
    caplog.clear()
    failure = None if isinstance(outcome, Sent) else outcome.failure
    message = OutboundMessage(
        "42",
        "buyer",
        {"type": "text", "text": "geheim"},
        message_id=make_message_id("m"),
        status=status,
        attempts=1,
        failure=failure,
    )
    log_outcome(message, outcome)
    (record,) = caplog.records
    assert record.getMessage() == "attempt recorded"
    assert "geheim" not in str(record.__dict__)
    assert record.__dict__["message_id"] == message.message_id[:26]  # the rest is the buyer's
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line
    ]
    return [
        metric["Name"]
        for line in lines
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    ]


@pytest.mark.parametrize(
    "failure",
    [
        Failure("capability_not_enabled", "x", 48001),
        Failure("api_banned", "x", 48004),
        Failure("wrong_app_id", "x", 40013),
        Failure("credential_refused", "x", 40001),
        Failure("unreadable_json", "x", 47001),
        Failure("system_busy", "x", -1),
        Failure("unknown_wechat_error", "x", 99999),
        Failure("expired", "gave up by age; last: quota", 45009),
        Failure("expired", "gave up by age; last: no token"),
        Failure("malformed_reply", "HTTP 404"),
    ],
    ids=lambda failure: f"{failure.code} {failure.errcode}",
)
def test_failures_of_the_account_are_faults(logs: Logs, failure: Failure) -> None:
    assert "SendFaults" in reported(logs, NotSent(failure), Status.FAILED)


@pytest.mark.parametrize(
    "failure",
    [
        Failure("window_closed", "x", 45015),
        Failure("allowance_used_up", "x", 45047),
        Failure("wrong_openid", "x", 40003),
        Failure("customer_blacklisted", "x", 43019),
        Failure("content_too_long", "x", 45002),
        Failure("no_conversation", "x"),
    ],
    ids=lambda failure: failure.code,
)
def test_refusals_of_one_message_are_none(logs: Logs, failure: Failure) -> None:
    assert reported(logs, NotSent(failure), Status.FAILED) == ["Sends"]


def test_an_unknown_outcome_is_a_fault_and_a_sent_message_is_none(
    logs: Logs,
) -> None:
    cut = Unknown(Failure("wechat_did_not_answer", "no answer"))
    assert "SendFaults" in reported(logs, cut, Status.UNKNOWN)
    assert reported(logs, Sent(), Status.SENT) == ["Sends"]


def test_what_waits_is_none_yet(logs: Logs) -> None:
    quota = NotSent(Failure("daily_quota_used_up", "x", 45009), Wait.QUOTA)
    assert reported(logs, quota, Status.ACCEPTED) == ["Sends", "DailyQuotaUsedUp"]
    minute = NotSent(Failure("called_too_often", "x", 45011), Wait.NEXT_MINUTE)
    assert reported(logs, minute, Status.ACCEPTED) == ["Sends", "MinuteLimitReached"]
