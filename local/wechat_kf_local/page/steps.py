"""The steps of a message inside the bundle, by what the functions logged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from wechat_kf.wechat.push import PushOpener, PushRefusedError
from wechat_kf_local.function_logs import lines_of
from wechat_kf_local.page.feed import Event

STEPS = {
    "push accepted": "queued",
    "delivery queued": "fanned-out",
    "attempt begun": "claimed",
    "attempt recorded": "recorded",
}
"""What the functions log, and which hop of the page it is."""
FACTS = ("event_id", "message_id", "status")
"""Of a line; `message_id` is the beginning of one."""
LATE_MS = 20_000
"""A function's lines are there when its invocation has ended, and carry their own time."""
LONGEST_MS = 600_000
_TIME = "%Y-%m-%d %H:%M:%S,%f%z"


class Steps:
    """Reads the functions' lines from CloudWatch Logs, each once."""

    def __init__(self, logs: Any) -> None:
        self._logs = logs
        self._read_at = 0
        self._seen: set[tuple[int, str, str]] = set()

    def read(self) -> list[Event]:
        """Return the steps since the last time, oldest first, of the last ten minutes at most."""
        now = time.time_ns() // 1_000_000
        since = max(self._read_at - LATE_MS, now - LONGEST_MS)
        lines = set(lines_of(self._logs, since))
        new, self._seen, self._read_at = lines - self._seen, lines, now
        return sorted(_steps_of(new), key=lambda step: float(step["at"]))


def _steps_of(lines: set[tuple[int, str, str]]) -> Iterator[Event]:
    for _, _, text in lines:
        if not any(f'"{message}"' in text for message in STEPS):
            continue
        line = json.loads(text)
        at = datetime.strptime(line["timestamp"], _TIME).timestamp()
        facts = {name: line[name] for name in FACTS if name in line}
        yield {"kind": STEPS[line["message"]], "at": at, "logged": line, **facts}


def event_namer(opener: PushOpener) -> Callable[[Event], Event]:
    """Return a function that adds to a push of WeChat's the `event_id` that the bundle gives it."""

    def name(event: Event) -> Event:
        if event["kind"] != "push_sent":
            return event
        request = event["request"]
        try:
            push = opener.open(base64.b64decode(request["body_base64"]), request["query"])
        except PushRefusedError:
            return event
        return {**event, "event_id": push.deduplication_key}

    return name
