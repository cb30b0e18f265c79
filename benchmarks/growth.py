"""Measure how CPU, calls and memory grow with merchants and conversations."""

from __future__ import annotations

import io
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import requests
from botocore.client import BaseClient
from urllib3.response import HTTPResponse

from benchmarks.answers import OPENID, WECHAT_SAYS_YES, Answers
from benchmarks.invocations import Context, Handler, event_for, load_handler
from benchmarks.measure import Section

MERCHANTS = 500
FEW = 1_000
MANY = 100_000
COLD = 50
ORIGIN = "http://127.0.0.1:9"
"""Placeholder: nothing listens there and nothing is sent there."""

FUNCTIONS = ("inbound", "messages", "outbound")
"""Functions that handle every message and cache data of merchants or conversations."""

NOTE = (
    f"One worker's messages, one after another: {FEW:,} conversations of one merchant, then "
    f"{MANY:,} conversations of {MERCHANTS} merchants, one message each. In process, with a stub "
    "for AWS and WeChat instead of a network, so that any growth is ours. Calls are those "
    "of all messages; CPU is that of the code around the calls, over the first and the last "
    f"{FEW:,} messages; memory is the process's peak.\n\n"
    "At this rate a worker's caches (subscriptions for 5 s, a merchant's status and the token for "
    "a minute) serve nearly every message. `calls, cold` is the other extreme: one message a "
    "minute, each of another merchant, so that no cache helps; every additional call is a read by "
    "key."
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A number of messages: their mean calls, median CPU in µs, and the peak of memory in MB."""

    calls: float
    cpu: float
    memory: float


def run() -> list[Section]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        measured = list(pool.map(measure, FUNCTIONS))
    rows = [
        [
            name,
            *(f"{calls:.2f}" for calls in (few.calls, many.calls, cold)),
            *(f"{stretch.cpu:,.0f} µs" for stretch in (few, many)),
            *(f"{stretch.memory:,.0f} MB" for stretch in (few, many)),
        ]
        for name, (few, many, cold) in zip(FUNCTIONS, measured, strict=True)
    ]
    header = ["function", "calls, few", "many", "cold", "CPU, few", "many", "memory, few", "many"]
    return [Section("Growth: cost per message", NOTE, header, rows)]


def _cold_calls(name: str, handler: Handler, counted: Counter[str], messages: int) -> float:
    """Count calls per message with expired caches: one message a minute."""
    now = time.time_ns
    before = counted.total()
    for number in range(messages):
        ahead = (number + 1) * 61 * 1_000_000_000
        with patch.object(time, "time_ns", lambda ahead=ahead: now() + ahead):
            handler(event_for(name, str(10_000 + number), OPENID), Context())
    return (counted.total() - before) / messages


def measure(
    name: str, few: int = FEW, many: int = MANY, cold: int = COLD
) -> tuple[Stretch, Stretch, float]:
    """Measure a function by its first `few` of `many` messages and by its last ones.

    The third figure is the calls per message with caches that have expired, of `cold` messages.
    """
    handler = load_handler(name, ORIGIN)
    with _stubbed() as counted:
        handler(event_for(name), Context())
        first = _stretch(name, handler, counted, range(few), 1)
        before = counted.total()
        _stretch(name, handler, counted, range(few, many - few), MERCHANTS)
        last = _stretch(name, handler, counted, range(many - few, many), MERCHANTS)
        # The merchants' caches expire one after another, perhaps all of them in the last stretch.
        last = replace(last, calls=(counted.total() - before) / (many - few))
        return first, last, _cold_calls(name, handler, counted, cold)


def _stretch(
    name: str, handler: Handler, counted: Counter[str], numbers: Sequence[int], merchants: int
) -> Stretch:
    context, samples = Context(), []
    before = counted.total()
    for number in numbers:
        event = event_for(name, str(42 + number % merchants), f"o9AgO5Kd5ggOC-bXrbNOD{number:07}")
        started = time.process_time_ns()
        handler(event, context)
        samples.append(time.process_time_ns() - started)
    samples.sort()
    return Stretch(
        calls=(counted.total() - before) / len(numbers),
        cpu=samples[len(samples) // 2] / 1000,
        memory=_peak_megabytes(),
    )


@contextmanager
def _stubbed() -> Iterator[Counter[str]]:
    """No network; counts the calls by name."""
    answers, counted = Answers(ORIGIN), Counter[str]()

    def aws(_client: BaseClient, operation: str, request: dict[str, Any]) -> Any:
        counted[operation] += 1
        return answers.answer(operation, request)

    def wechat(_session: requests.Session, *_: Any, **__: Any) -> requests.Response:
        counted["WeChat"] += 1
        response = requests.Response()
        body = io.BytesIO(WECHAT_SAYS_YES)
        response.status_code, response.raw = 200, HTTPResponse(body, preload_content=False)
        return response

    with (
        patch.object(BaseClient, "_make_api_call", aws),
        patch.object(requests.Session, "request", wechat),
    ):
        yield counted


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "linux" else 1024 * 1024)
