"""Who may come in, and how many at once."""

import re
from typing import Any

import pytest

from tests.template.conftest import Template
from wechat_kf_cli.stack.state import ROOT

PAGES = [
    ROOT / "docs" / language / f"{name}.md"
    for language in (".", "zh-CN")
    for name in ("deploy", "first-deployment", "limits")
]
"""They say how many workers stand behind the queues."""


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_event_sources_are_bounded(template: Template) -> None:
    parameters = template.document["Parameters"]
    for queue, _, source in template.consumers():
        most = source["ScalingConfig"]["MaximumConcurrency"]
        if isinstance(most, dict):
            parameter = parameters[most["Ref"]]
            assert 2 <= parameter["MinValue"] <= parameter["Default"], queue
            most = parameter["Default"]
        assert 2 <= most <= 100, queue


def test_together_they_leave_room_for_pushes(template: Template) -> None:
    """An account has 1 000 by default."""
    bounds = [source["ScalingConfig"]["MaximumConcurrency"] for *_, source in template.consumers()]
    parameters = template.document["Parameters"]
    total = sum(b if isinstance(b, int) else parameters[b["Ref"]]["Default"] for b in bounds)
    assert total <= 200
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert re.search(rf"\b{total}\b", text), page


@pytest.mark.parametrize("language", [".", "zh-CN"])
def test_the_page_names_what_bounds_them(template: Template, language: str) -> None:
    text = (ROOT / "docs" / language / "deploy.md").read_text(encoding="utf-8")
    for name, parameter in template.document["Parameters"].items():
        if name.endswith("Concurrency") and name != "PushReservedConcurrency":
            shown = re.search(rf"`{name}`\s*[(（](\d+)", text)
            assert shown is not None, name
            assert int(shown[1]) == parameter["Default"], name


def test_the_only_queue_others_may_write_to_is_the_broadcasts_one_and_only_from_our_rule(
    template: Template,
) -> None:
    (policy,) = template.resources("AWS::SQS::QueuePolicy").values()
    assert policy["Queues"] == [{"Ref": "BroadcastsQueue"}]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == {"Fn::GetAtt": "BroadcastsQueue.Arn"}
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]
    assert source == {"Fn::GetAtt": "SendMessagesRule.Arn"}


@pytest.mark.parametrize(
    "resource_type",
    [
        "AWS::Events::EventBusPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SecretsManager::ResourcePolicy",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::Lambda::LayerVersionPermission",
        "AWS::S3::Bucket",
        "AWS::EC2::SecurityGroup",
    ],
)
def test_nothing_lets_other_accounts_in(template: Template, resource_type: str) -> None:
    assert template.resources(resource_type) == {}


def test_no_function_has_a_url_of_its_own(template: Template) -> None:
    for name, function in template.functions.items():
        assert "FunctionUrlConfig" not in function, name


def test_the_rule_hands_on_nothing_but_orders_to_send(template: Template) -> None:
    (rule,) = template.resources("AWS::Events::Rule").values()
    assert rule["EventPattern"] == {"detail-type": ["SendMessages"]}
    assert rule["EventBusName"] == {"Ref": "EventBus"}
    assert [t["Arn"] for t in rule["Targets"]] == [{"Fn::GetAtt": "BroadcastsQueue.Arn"}]


def test_only_lambda_assumes_the_roles(template: Template) -> None:
    for name, role in template.resources("AWS::IAM::Role").items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}, name
        assert statement["Action"] == "sts:AssumeRole", name


def test_no_browser_calls_the_api(template: Template) -> None:
    assert "CorsConfiguration" not in template.resources("AWS::Serverless::HttpApi")["Api"]


def test_no_role_may_change_who_may_do_what(template: Template) -> None:
    forbidden = re.compile(r"(iam|sts|kms|cloudformation|organizations):|:(AddPermission|Set|Tag)")
    for role in template.resources("AWS::IAM::Role"):
        for statement in template.statements(role):
            assert not [a for a in as_list(statement["Action"]) if forbidden.search(a)], role


def test_no_environment_variable_holds_a_secret(template: Template) -> None:
    """Each is a literal, a parameter or the name of a resource; no parameter is a secret."""
    names = set(template.document["Parameters"]) | set(template.document["Resources"])
    for function in template.functions.values():
        for variable, value in function["Environment"]["Variables"].items():
            if isinstance(value, dict):
                assert set(value) <= {"Ref", "Fn::GetAtt"}, variable
                (target,) = value.values()
                assert target.partition(".")[0] in names, variable
            if variable.endswith("_SECRET_ARN"):
                assert value["Fn::GetAtt"].endswith("Secret.Id"), variable
            else:
                assert not re.search(r"SECRET|PASSWORD|AES|CREDENTIAL", variable), variable


def test_secrets_are_entered_after_the_deployment_and_never_as_parameters(
    template: Template,
) -> None:
    for name, secret in template.resources("AWS::SecretsManager::Secret").items():
        assert secret["SecretString"] == "{}", name
    for name, parameter in template.document["Parameters"].items():
        assert "NoEcho" not in parameter, name
        assert "ssm" not in parameter["Type"].lower(), name
