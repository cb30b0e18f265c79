"""Logs and metrics, set up once per function.

House rule: log events are short constant phrases with fields; user text, tokens, keys, signatures
and full URLs are never fields.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from wechat_kf.config import load_settings


class MetricSettings:
    """Merchants with metrics of their own, by business id."""

    watched_merchants: tuple[str, ...] = ()


_WATCHED = frozenset(load_settings(MetricSettings).watched_merchants)


class WordlessFormatter(LambdaPowertoolsFormatter):
    """Formats exceptions as type and location, never the message.

    A message may quote what a customer wrote: `int("…")` and botocore's parameter errors do.
    """

    def formatException(  # noqa: N802 - the standard library's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return "" if ei[1] is None else _places(ei[1])


def _places(error: BaseException) -> str:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    frames = "".join(traceback.format_tb(error.__traceback__))
    own = f"{frames}{type(error).__qualname__}"
    return f"{_places(before)}\n{own}" if before else own


logger = Logger(logger_formatter=WordlessFormatter(serialize_stacktrace=False))
"""Its service name comes from POWERTOOLS_SERVICE_NAME."""

# The function's own level: Lambda's, which Powertools would prefer, is DEBUG, so that Lambda never
# drops a line with metrics, which it takes for an INFO line.
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

Handler = Callable[[dict[str, Any], Any], Any]


class InvocationFailedError(Exception):
    """An invocation failed unexpectedly. Names the type of the original exception only."""


def guard_invocation(handler: Handler) -> Handler:
    """Name the request in every log line of `handler`, and keep exception messages out of Lambda.

    Lambda logs and returns what a handler raises, message included, and a message may quote what a
    customer wrote. So the exception is logged here and replaced. What a batch counts is written
    once, when it ends: CloudWatch charges for each byte of a line.

    It is the last that a function's start does: what is loaded is kept out of every later search
    for garbage.
    """
    if not gc.isenabled():  # `wechat_kf` has turned it off for the start
        gc.freeze()
        gc.enable()

    @wraps(handler)
    def guarded(event: dict[str, Any], context: Any) -> Any:
        logger.append_keys(request_id=getattr(context, "aws_request_id", ""))
        _COUNTS.collect()
        try:
            return handler(event, context)
        except Exception as error:
            logger.exception("invocation failed")
            failed = InvocationFailedError(type(error).__name__)
        finally:
            _COUNTS.flush()
        raise failed

    return guarded


def count(name: str, *, merchant: str = "", **dimensions: str) -> None:
    """Emit one count, as a log line in CloudWatch's embedded metric format.

    The count is recorded in total (alarms watch that), by `dimensions` (which show the reason), and
    by `dimensions` and merchant if `merchant`, a business id, is watched. Keep the values of
    dimensions few: every combination is a metric that costs money each month. In a guarded
    invocation equal counts are written together, when it ends.
    """
    watched = merchant if merchant in _WATCHED else ""
    _COUNTS.add(name, watched, tuple(sorted(dimensions.items())))


class _Counts:
    """Counts by name, watched merchant and dimensions; threads may share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, tuple[tuple[str, str], ...]]] = Counter()
        self._collecting = False

    def collect(self) -> None:
        """Hold counts back until `flush`."""
        self._collecting = True

    def add(self, name: str, watched: str, dimensions: tuple[tuple[str, str], ...]) -> None:
        """Count one; write it at once unless counts are being collected."""
        with self._lock:
            self._counts[name, watched, dimensions] += 1
        if not self._collecting:
            self.flush()

    def flush(self) -> None:
        """Write what was counted and stop collecting."""
        self._collecting = False
        with self._lock:
            counts, self._counts = self._counts, Counter()
        for (name, watched, dimensions), number in counts.items():
            metrics = EphemeralMetrics()
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
            if dimensions:
                metrics.add_dimensions(**dict(dimensions))
            if watched:
                metrics.add_dimensions(merchant=watched, **dict(dimensions))
            _write(metrics)


_COUNTS = _Counts()


def measure(name: str, value: float) -> None:
    """Emit one value at once, as `count` does; `name` ends in its unit unless it is a number."""
    metrics = EphemeralMetrics()
    unit = MetricUnit.Seconds if name.endswith("Seconds") else MetricUnit.Count
    metrics.add_metric(name=name, unit=unit, value=value)
    _write(metrics)


def _write(metrics: EphemeralMetrics) -> None:
    line = json.dumps(metrics.serialize_metric_set(), separators=(",", ":"))
    # One write: `flush_metrics` prints the line and its end separately, and another thread's log
    # line in between would corrupt both.
    sys.stdout.write(f"{line}\n")
