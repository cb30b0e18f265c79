"""The handbook says when each alarm fires as the template has it, in both languages."""

import re
from pathlib import Path

import pytest

from tests.alarm_evaluation import period_of
from tests.template.conftest import Template

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| `([…A-Za-z]+)` \| `([^`]+)` \|", re.MULTILINE)


def thresholds(page: Path) -> list[tuple[str, str]]:
    """(alarm, or the end of the names of several; when it fires) of each row."""
    return ROW.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", ["operations.md", "zh-CN/operations.md"])
def test_the_handbook_says_when_each_alarm_fires(template: Template, page: str) -> None:
    explained: set[str] = set()
    for name, written in thresholds(DOCS / page):
        meant = template.alarms_of_row(name)
        assert meant, name
        for alarm, facts in meant.items():
            periods = str(facts["EvaluationPeriods"])
            if needed := facts.get("DatapointsToAlarm"):
                periods = f"{needed} of {periods}"
            minutes = period_of(facts) // 60
            assert written == f"> {facts['Threshold']}, {periods} × {minutes} min", alarm
        explained |= set(meant)
    assert explained == set(template.resources("AWS::CloudWatch::Alarm"))
