"""Alarms and dashboard: what they watch, and what the handbook says about them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.alarm_evaluation import watched_metrics
from tests.template.conftest import Template
from tests.template.test_template import WAKE_UPS
from wechat_kf.domain.messages.message import Status
from wechat_kf.domain.subscriptions.dispatch import Fate
from wechat_kf.wechat.push import Refusal

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CODE = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("functions", "layers/shared/wechat_kf")
    for path in sorted((ROOT / folder).rglob("*.py"))
)


SEARCH = re.compile(
    r"""SEARCH\('\{"\$\{AWS::StackName\}",merchant(,(?P<dimension>\w+))?\} """
    r"""MetricName="(?P<metric>\w+)"', 'Sum', 300\)"""
)


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = template.resources("AWS::CloudWatch::Alarm")
    return found


def over(watched: dict[str, Any]) -> dict[str, Any]:
    """The dimensions of a watched metric: values by name."""
    return {one["Name"]: one["Value"] for one in watched.get("Dimensions", [])}


def own_metrics(template: Template) -> list[dict[str, Any]]:
    """Every metric of ours that an alarm watches."""
    watched = [
        one for alarm in alarms(template).values() for one in watched_metrics(alarm).values()
    ]
    return [one for one in watched if one["Namespace"] == {"Ref": "AWS::StackName"}]


def name_of(part: str) -> dict[str, str]:
    return {"Fn::GetAtt": f"{part}.QueueName"}


def test_every_queue_has_an_alarm_for_dead_letters_and_one_for_age(template: Template) -> None:
    for queue in (name for name in template.queues if "DeadLetter" not in name):
        if queue in WAKE_UPS:  # `BacklogOldestSeconds` shows whether they are handled
            continue
        part = queue.removesuffix("Queue")
        dead, age = (alarms(template)[f"{part}{what}Alarm"] for what in ("DeadLetters", "Age"))
        assert dead["MetricName"] == "ApproximateNumberOfMessagesVisible"
        assert over(dead) == {"QueueName": name_of(f"{part}DeadLetterQueue")}
        assert (dead["Threshold"], dead["EvaluationPeriods"]) == (0, 1), queue
        watched = {one["MetricName"]: one for one in watched_metrics(age).values()}
        assert over(watched["ApproximateAgeOfOldestMessage"]) == {"QueueName": name_of(queue)}
        if part != "Bulk":  # its consumer, outbound, measures the age of answers
            assert over(watched["OldestRecordSeconds"]) == {"service": part.lower()}
        retention = template.queues[queue]["MessageRetentionPeriod"]
        assert 0 < age["Threshold"] <= retention / 2, queue


def test_every_function_has_an_alarm_for_its_errors(template: Template) -> None:
    for function in template.functions:
        alarm = alarms(template)[f"{function.removesuffix('Function')}ErrorsAlarm"]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Lambda", "Errors")
        assert over(alarm) == {"FunctionName": {"Ref": function}}
        assert alarm["Threshold"] == 0


@pytest.mark.parametrize(
    ("name", "namespace", "metric"),
    [
        ("Throttles", "AWS/Lambda", "Throttles"),
        ("ApiFaults", "AWS/ApiGateway", "5xx"),
        ("TokenRefresh", None, "TokenRefreshFailed"),
        ("PushRefused", None, "PushRefused"),
        ("PushNotQueued", None, "PushNotQueued"),
        ("DailyQuota", None, "DailyQuotaUsedUp"),
    ],
)
def test_there_is_an_alarm_for(
    template: Template, name: str, namespace: str | None, metric: str
) -> None:
    alarm = alarms(template)[f"{name}Alarm"]
    assert alarm["Namespace"] == (namespace or {"Ref": "AWS::StackName"})
    assert alarm["MetricName"] == metric


def test_every_alarm_notifies_both_ways_and_is_quiet_without_data(template: Template) -> None:
    for name, alarm in alarms(template).items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold", name
        for watched in watched_metrics(alarm).values():
            assert watched["Statistic"] in ("Sum", "Maximum"), name
        assert len(alarm["AlarmDescription"]) > 20, name


def test_every_alarm_has_cause_and_action_in_the_handbook(template: Template) -> None:
    table = OPERATIONS.partition("## Alarms")[2].partition("\n#")[0]
    explained = set(re.findall(r"^\| `([…A-Za-z]+)` \|", table, re.MULTILINE))
    meant = {name: set(template.alarms_of_row(name)) for name in explained}
    assert all(meant.values()), meant
    assert set().union(*meant.values()) == set(alarms(template))


SERVICES_AND_FATES = {"service", "fate"}


def emitted(metric: str) -> bool:
    return re.search(rf'\b(count|measure)\(\s*"{metric}"', CODE) is not None


def test_what_our_own_alarms_watch_is_emitted_by_that_function(template: Template) -> None:
    services = {
        function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        for function in template.functions.values()
    }
    watched = own_metrics(template)
    assert len(watched) > 20
    for one in watched:
        assert emitted(one["MetricName"]), one["MetricName"]
        assert set(over(one)) <= SERVICES_AND_FATES
        assert over(one).get("service", "push") in services


def test_an_alarm_watches_every_function_that_counts_its_metric(template: Template) -> None:
    heard = {(one["MetricName"], over(one).get("service")) for one in own_metrics(template)}
    for function in template.functions.values():
        sources = (ROOT / function["CodeUri"]).glob("*.py")
        code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
        service = function["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        counted = {(metric, service) for metric in re.findall(r'count\("(\w+)"', code)}
        assert {one for one in counted if one[0] in dict(heard)} <= heard, service


def test_alarms_and_dashboard_can_be_left_out(template: Template) -> None:
    standing = {"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"}
    resources = template.document["Resources"].values()
    conditions = [one.get("Condition") for one in resources if one["Type"] in standing]
    assert set(conditions) == {"Monitored"}
    assert template.document["Parameters"]["Monitoring"]["Default"] == "full"


def test_the_alarms_of_a_stack_stay_payable(template: Template) -> None:
    """Each metric that an alarm watches costs $0.10 a month in us-east-1."""
    assert sum(len(watched_metrics(alarm)) for alarm in alarms(template).values()) <= 50


def test_the_dashboard_shows_what_is_counted(template: Template) -> None:
    (dashboard,) = template.resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    values = {
        "fate": {*Fate, "postponed"},
        "outcome": {*Status},
        "service": {"push", "inbound", "deliveries", "outbound", "broadcasts", "sweeper"},
    }
    shown = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
    for namespace, metric, dimension, value in (line for line in shown if len(line) != 1):
        if namespace == "${AWS::StackName}":
            assert emitted(metric), metric
            assert value in values[dimension], (metric, value)
        else:
            part = value.removeprefix("${").removesuffix("}").partition(".")[0]
            assert part in {**template.queues, **template.functions}, value


def test_the_dashboard_finds_the_metrics_of_watched_merchants(template: Template) -> None:
    """By search, since nobody knows which merchants those are."""
    (dashboard,) = template.resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    lines = [line for widget in widgets for line in widget["properties"]["metrics"]]
    searches = [line[0]["expression"] for line in lines if len(line) == 1]
    found = {SEARCH.fullmatch(search) for search in searches}
    assert {(one["metric"], one["dimension"]) for one in found if one} == {
        ("MessagesReceived", None),
        ("Deliveries", "fate"),
        ("Sends", "outcome"),
    }
    assert None not in found


@pytest.mark.parametrize(
    "call",
    [
        r'count\("MessagesReceived", merchant=[\w.]+\)',
        r'count\("Deliveries", merchant=[\w.]+, fate=',
        r'count\("Sends", merchant=[\w.]+, outcome=',
    ],
)
def test_what_the_dashboard_searches_is_counted(call: str) -> None:
    assert re.search(call, CODE)


def test_the_bill_for_watched_merchants_is_bounded(template: Template) -> None:
    pattern = template.document["Parameters"]["WatchedMerchants"]["AllowedPattern"]
    assert re.search(pattern, "")
    assert re.search(pattern, ",".join(str(number) for number in range(20)))
    assert not re.search(pattern, ",".join(str(number) for number in range(21)))
    assert not re.search(pattern, "1, 2")


def test_every_reason_of_a_refused_push_is_explained() -> None:
    for refusal in Refusal:
        assert f"`{refusal}`" in OPERATIONS, refusal
