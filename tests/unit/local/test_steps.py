"""The page reads from the functions' logs what happened to a message inside the bundle."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.pushes import MESSAGES, Console, Request
from wechat_kf_local.page.steps import Steps, event_namer


class Logs:
    """Stands in for CloudWatch Logs: one group, and lines by the time when they came in."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, seconds_ago: float, message: str, **facts: str) -> None:
        at = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
        line = {"timestamp": f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03}+0000"}
        text = json.dumps({**line, "message": message, **facts})
        self.lines.append({"timestamp": int(at.timestamp() * 1000), "message": text + "\n"})

    def get_paginator(self, operation: str) -> Any:
        return {"describe_log_groups": Groups(), "filter_log_events": Lines(self)}[operation]


class Groups:
    def paginate(self) -> Iterator[dict[str, Any]]:
        yield {"logGroups": [{"logGroupName": "/aws/PushLogGroup"}]}


class Lines:
    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def paginate(self, *, logGroupName: str, startTime: int) -> Iterator[dict[str, Any]]:  # noqa: N803 - AWS's names
        yield {"events": [one for one in self._logs.lines if one["timestamp"] >= startTime]}


def test_each_step_is_told_once_and_by_its_own_time() -> None:
    logs = Logs()
    steps = Steps(logs)
    logs.write(1, "attempt begun", message_id="m1")
    logs.write(2, "push accepted", event_id="e1")
    logs.write(0, "merchants reconciled")

    first = steps.read()
    # A line comes when its invocation has ended, and may be older than what was read before.
    logs.write(1.5, "delivery queued", event_id="e1")
    second = steps.read()

    assert [step["kind"] for step in first] == ["queued", "claimed"]
    assert first[0]["event_id"] == "e1"
    assert first[0]["at"] == pytest.approx(time.time() - 2, abs=1)
    assert [step["kind"] for step in second] == ["fanned-out"]
    assert steps.read() == []


def test_what_is_long_past_is_left_alone() -> None:
    logs = Logs()
    logs.write(3_600, "push accepted", event_id="e1")

    assert Steps(logs).read() == []


def test_an_attempt_tells_its_outcome() -> None:
    logs = Logs()
    logs.write(1, "attempt recorded", message_id="m1", status="sent")

    [step] = Steps(logs).read()

    assert (step["kind"], step["message_id"], step["status"]) == ("recorded", "m1", "sent")


def sent(request: Request) -> dict[str, Any]:
    body = base64.b64encode(request.body).decode()
    described = {"query": dict(request.query), "body_base64": body}
    return {"kind": "push_sent", "request": described}


def test_a_push_gets_the_id_of_its_event() -> None:
    console = Console()
    push = console.push(MESSAGES["text"])
    name = event_namer(console.opener())

    named = name(sent(push))

    assert named["event_id"] == console.opener().open(push.body, push.query).deduplication_key


def test_other_happenings_and_forged_pushes_get_none() -> None:
    forged = sent(Console().push(MESSAGES["text"], msg_signature="f0" * 20))
    name = event_namer(Console().opener())

    assert name(forged) == forged
    assert name({"kind": "call"}) == {"kind": "call"}
