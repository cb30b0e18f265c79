"""CloudWatch as far as the template's alarms need it: metrics by the minute, alarms over them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name and dimensions of a metric."""

OURS = "our namespace"


@dataclass
class Metrics:
    """Values by metric and minute."""

    values: dict[Key, dict[int, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, key: Key, minute: int, value: float = 1) -> None:
        self.values[key][minute].append(value)

    def add_embedded(self, line: Mapping[str, Any], minute: int, older_by: float = 0) -> None:
        """A line in CloudWatch's embedded metric format; ages are `older_by` seconds more."""
        for metrics in line["_aws"]["CloudWatchMetrics"]:
            for names in metrics["Dimensions"]:
                dimensions = frozenset((name, str(line[name])) for name in names)
                for metric in metrics["Metrics"]:
                    value = line[metric["Name"]]
                    (number,) = value if isinstance(value, list) else [value]
                    older = older_by if metric["Name"] == "OldestRecordSeconds" else 0
                    self.add((OURS, metric["Name"], dimensions), minute, number + older)

    def statistic(self, watched: Mapping[str, Any], minute: int) -> float | None:
        """A watched metric's value in the period that starts at `minute`; None without data."""
        found = self.values.get(_key(watched), {})
        minutes = range(minute, minute + watched["Period"] // 60)
        values = [value for one in minutes for value in found.get(one, [])]
        if not values:
            return None
        return max(values) if watched["Statistic"] == "Maximum" else sum(values)


def watched_metrics(alarm: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What an alarm watches, by the id that its expression uses."""
    if "Metrics" not in alarm:
        return {"only": dict(alarm)}
    stats = {one["Id"]: one["MetricStat"] for one in alarm["Metrics"] if "MetricStat" in one}
    return {
        name: {**stat["Metric"], "Statistic": stat["Stat"], "Period": stat["Period"]}
        for name, stat in stats.items()
    }


def period_of(alarm: Mapping[str, Any]) -> int:
    """Seconds; all metrics of an alarm have the same period."""
    (period,) = {one["Period"] for one in watched_metrics(alarm).values()}
    assert isinstance(period, int)
    return period


def fires(alarm: Mapping[str, Any], metrics: Metrics, minutes: int) -> bool:
    """Whether an alarm fires within `minutes`."""
    length = period_of(alarm) // 60
    needed = alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"])
    breaching = [
        _breaches(alarm, metrics, start) for start in range(0, minutes - length + 1, length)
    ]
    number = alarm["EvaluationPeriods"]
    windows = [breaching[max(0, end - number) : end] for end in range(1, len(breaching) + 1)]
    return any(sum(window) >= needed for window in windows)


def _breaches(alarm: Mapping[str, Any], metrics: Metrics, minute: int) -> bool:
    values = {
        name: metrics.statistic(watched, minute) for name, watched in watched_metrics(alarm).items()
    }
    value = _evaluate(_expression(alarm), values)
    return value is not None and value > alarm["Threshold"]


def _expression(alarm: Mapping[str, Any]) -> str:
    return next((m["Expression"] for m in alarm.get("Metrics", []) if "Expression" in m), "only")


def _evaluate(expression: str, values: Mapping[str, float | None]) -> float | None:
    """The value of a metric math expression in one period; None without data."""
    functions = {
        "MAX": lambda series: max((one for one in series if one is not None), default=None),
        "SUM": lambda series: sum(one for one in series if one is not None),
        "FILL": lambda series, value: value if series is None else series,
        "IF": lambda condition, then, otherwise: then if condition else otherwise,
    }
    try:
        result: float | None = eval(expression, {**functions, **values})  # noqa: S307
    except (TypeError, ZeroDivisionError):  # an operand without data, or nothing to divide by
        return None
    return result


def _key(watched: Mapping[str, Any]) -> Key:
    dimensions = {one["Name"]: _name(one["Value"]) for one in watched.get("Dimensions", [])}
    namespace = watched["Namespace"]
    ours = namespace == {"Ref": "AWS::StackName"}
    return OURS if ours else namespace, watched["MetricName"], frozenset(dimensions.items())


def _name(value: Any) -> str:
    """A dimension's value; of a reference the logical id."""
    return str(next(iter(value.values()))) if isinstance(value, dict) else str(value)
