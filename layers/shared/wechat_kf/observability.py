"""Logs and metrics, set up once per function.

House rule: log events are short constant phrases with fields; user text, tokens, keys, signatures
and full URLs are never fields.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from types import TracebackType
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from wechat_kf.config import load_settings


@dataclass(frozen=True, slots=True)
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
    customer wrote. So the exception is logged here and replaced.
    """

    @wraps(handler)
    def guarded(event: dict[str, Any], context: Any) -> Any:
        logger.append_keys(request_id=getattr(context, "aws_request_id", ""))
        try:
            return handler(event, context)
        except Exception as error:
            logger.exception("invocation failed")
            failed = InvocationFailedError(type(error).__name__)
        raise failed

    return guarded


def count(name: str, *, merchant: str = "", **dimensions: str) -> None:
    """Emit one count immediately, as a log line in CloudWatch's embedded metric format.

    The count is recorded in total (alarms watch that), by `dimensions` (which show the reason), and
    by `dimensions` and merchant if `merchant`, a business id, is watched. Keep the values of
    dimensions few: every combination is a metric that costs money each month.
    """
    metrics = EphemeralMetrics()
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    if dimensions:
        metrics.add_dimensions(**dimensions)
    if merchant in _WATCHED:
        metrics.add_dimensions(merchant=merchant, **dimensions)
    _write(metrics)


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
