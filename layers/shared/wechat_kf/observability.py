"""Logs and metrics, set up once per function.

House rule: log events are short constant phrases with fields; user text, tokens, keys, signatures
and full URLs are never fields.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
"""Service name and level come from POWERTOOLS_SERVICE_NAME and LOG_LEVEL."""


def count(name: str, **dimensions: str) -> None:
    """Emit one count at once, in CloudWatch's embedded format: a line of log, no call.

    Keep dimensions bounded: every combination of values is a metric of its own.
    """
    with single_metric(name=name, unit=MetricUnit.Count, value=1) as metric:
        for key, value in dimensions.items():
            metric.add_dimension(name=key, value=value)
