"""Logs and metrics, set up once per function.

House rule: log events are short constant phrases with fields; user text, tokens, keys, signatures
and full URLs are never fields.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

logger = Logger()
"""Service name and level come from POWERTOOLS_SERVICE_NAME and LOG_LEVEL."""


def count(name: str, **dimensions: str) -> None:
    """Emit one count at once, in CloudWatch's embedded format: a line of log, no call.

    It is counted in total (what alarms watch) and by `dimensions` (what tells why). Keep their
    values few: every combination is a metric of its own.
    """
    metrics = EphemeralMetrics()
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=1)
    if dimensions:
        metrics.add_dimensions(**dimensions)
    metrics.flush_metrics()
