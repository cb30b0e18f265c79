"""Logs and metrics, set up once per function.

House rule: log events are short constant phrases with fields; user text, tokens, keys, signatures
and full URLs are never fields.
"""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import dataclass
from types import TracebackType

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
"""Service name and level come from POWERTOOLS_SERVICE_NAME and LOG_LEVEL."""


def count(name: str, *, merchant: str = "", **dimensions: str) -> None:
    """Emit one count at once, in CloudWatch's embedded metric format: a log line, no call.

    It is counted in total (what alarms watch), by `dimensions` (the reason), and by `dimensions`
    and merchant if `merchant`, a business id, is watched. Keep the values of dimensions few: every
    combination is a metric that costs money each month.
    """
    metrics = EphemeralMetrics()
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    if dimensions:
        metrics.add_dimensions(**dimensions)
    if merchant in _WATCHED:
        metrics.add_dimensions(merchant=merchant, **dimensions)
    line = json.dumps(metrics.serialize_metric_set(), separators=(",", ":"))
    # In one write: `flush_metrics` prints the line and its end in two, and what another thread of
    # a batch logs in between spoils both lines.
    sys.stdout.write(f"{line}\n")
