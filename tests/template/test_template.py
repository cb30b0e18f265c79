"""Rules of the house that no linter knows."""

import re
from typing import Any

import pytest

from tests.template.conftest import Template
from wechat_kf_cli.stack.state import ROOT


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_of(function: dict[str, Any]) -> str:
    return str(function["Role"]["Fn::GetAtt"]).split(".")[0]


def test_every_function_has_a_role_of_its_own(template: Template) -> None:
    roles = [role_of(function) for function in template.functions.values()]
    assert len(roles) == len(set(roles)) >= 7
    assert set(roles) == set(template.resources("AWS::IAM::Role"))


def test_no_role_borrows_a_managed_policy(template: Template) -> None:
    for role in template.resources("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role


def test_no_action_is_a_wildcard(template: Template) -> None:
    for role in template.resources("AWS::IAM::Role"):
        for statement in template.statements(role):
            assert not [a for a in as_list(statement["Action"]) if "*" in a], role


def test_a_resource_is_a_wildcard_only_for_network_interfaces(template: Template) -> None:
    for role in template.resources("AWS::IAM::Role"):
        for statement in template.statements(role):
            if "*" in as_list(statement["Resource"]):
                assert {a.split(":")[0] for a in statement["Action"]} == {"ec2"}, role


def test_only_the_token_function_may_read_the_app_secret(template: Template) -> None:
    readers = {
        secret: {
            role
            for role in template.resources("AWS::IAM::Role")
            for statement in template.statements(role)
            if {"Fn::GetAtt": f"{secret}.Id"} in as_list(statement["Resource"])
        }
        for secret in template.resources("AWS::SecretsManager::Secret")
    }
    assert readers == {"AppSecret": {"TokenRole"}, "PushSecret": {"PushRole"}}


def test_no_secret_value_is_in_an_environment_variable(template: Template) -> None:
    assert "{{resolve:" not in template.text
    for function in template.functions.values():
        for name in function["Environment"]["Variables"]:
            assert not name.endswith(("_SECRET", "_KEY", "_TOKEN")), name


WAKE_UPS = {"DrainsQueue"}
"""Queues whose messages hold nothing and are replaced: losing one loses nothing."""


def test_every_queue_is_encrypted_and_has_dead_letters_of_its_kind(template: Template) -> None:
    queues = template.queues
    for name, queue in queues.items():
        assert queue["SqsManagedSseEnabled"] is True, name
        if "DeadLetter" in name:
            assert queue["MessageRetentionPeriod"] == 1_209_600
            continue
        if name in WAKE_UPS:
            assert "RedrivePolicy" not in queue
            assert queue["MessageRetentionPeriod"] <= 3_600
            continue
        target = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"].split(".")[0]
        assert target == name.replace("Queue", "DeadLetterQueue")
        assert queues[target].get("FifoQueue") == queue.get("FifoQueue")


def test_every_queue_but_the_dead_letters_is_consumed(template: Template) -> None:
    consumed = {queue for queue, _, _ in template.consumers()}
    assert consumed == {name for name in template.queues if "DeadLetter" not in name}


def test_visibility_covers_six_timeouts(template: Template) -> None:
    for queue, function, _ in template.consumers():
        assert template.queues[queue]["VisibilityTimeout"] >= 6 * function["Timeout"], queue


def test_every_consumer_reports_partial_batches(template: Template) -> None:
    for queue, _, source in template.consumers():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], queue
        assert 1 <= source["BatchSize"] <= 10


def test_fifo_queues_order_by_conversation_and_scale_by_it(template: Template) -> None:
    for name, queue in template.queues.items():
        if queue.get("FifoQueue") and "DeadLetter" not in name:
            assert queue["DeduplicationScope"] == "messageGroup", name
            assert queue["FifoThroughputLimit"] == "perMessageGroupId", name


def test_tables_are_on_demand_encrypted_and_recoverable(template: Template) -> None:
    tables = template.resources("AWS::DynamoDB::Table")
    assert len(tables) >= 5
    for name, table in tables.items():
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
        assert table["SSESpecification"]["SSEEnabled"] is True, name
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], name


def test_what_cannot_be_made_again_is_kept_when_the_stack_goes(template: Template) -> None:
    kept = set(template.resources("AWS::DynamoDB::Table")) - {"TokensTable"}
    assert len(kept) >= 5
    for name in kept:
        resource = template.document["Resources"][name]
        assert resource["UpdateReplacePolicy"] == "Retain", name
        # A creation that fails leaves no tables behind.
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name


def test_every_function_logs_to_a_group_with_a_retention(template: Template) -> None:
    groups = template.resources("AWS::Logs::LogGroup")
    for name, function in template.functions.items():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        assert groups[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_only_the_push_path_is_open(template: Template) -> None:
    routes = [
        (event["Properties"].get("Method"), event["Properties"].get("Path"))
        for function in template.functions.values()
        for event in function["Events"].values()
        if event["Type"] == "HttpApi" and event["Properties"].get("Auth") == {"Authorizer": "NONE"}
    ]
    assert sorted(routes) == [("GET", "/wechat/push"), ("POST", "/wechat/push")]
    auth = template.resources("AWS::Serverless::HttpApi")["Api"]["Auth"]
    assert auth == {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}


def test_all_routes_are_throttled_and_the_open_ones_apart(template: Template) -> None:
    api = template.resources("AWS::Serverless::HttpApi")["Api"]
    assert set(api["DefaultRouteSettings"]) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}
    settings = api["RouteSettings"]
    assert set(settings) == {"GET /wechat/push", "POST /wechat/push"}
    for setting in settings.values():
        assert set(setting) == {"ThrottlingRateLimit", "ThrottlingBurstLimit"}


def test_access_logs_hold_no_query_string(template: Template) -> None:
    api = template.resources("AWS::Serverless::HttpApi")["Api"]
    logged = api["AccessLogSettings"]["Format"]
    for leak in ("queryString", "$context.path", "requestOverride", "$context.authorizer.token"):
        assert leak not in logged


def test_api_gateway_needs_no_resource_policy_for_its_log_group(template: Template) -> None:
    group = template.resources("AWS::Logs::LogGroup")["ApiLogGroup"]
    assert group["LogGroupName"]["Fn::Sub"].startswith("/aws/vendedlogs/${AWS::StackName}/")


def test_lambda_logs_no_lines_of_its_own_for_what_went_well(template: Template) -> None:
    logging = template.document["Globals"]["Function"]["LoggingConfig"]
    assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN")
    # Lambda takes lines with metrics for INFO: a higher level would lose them.
    assert logging["ApplicationLogLevel"] == "DEBUG"


@pytest.mark.parametrize("literal", ["arn:aws:", "arn:aws-cn:", ".amazonaws.com.cn"])
def test_no_partition_or_suffix_is_literal(template: Template, literal: str) -> None:
    assert literal not in template.text


def test_amazonaws_com_appears_only_in_service_principals(template: Template) -> None:
    for line in template.text.splitlines():
        if "amazonaws.com" in line:
            assert re.search(r"Service: [a-z]+\.amazonaws\.com", line), line


def test_every_parameter_is_described_bounded_and_has_a_default(template: Template) -> None:
    for name, parameter in template.document["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        if name != "AppId":
            assert "Default" in parameter, name
        bounded = {"AllowedValues", "AllowedPattern", "MaxValue"} & set(parameter)
        assert bounded or parameter["Type"] == "CommaDelimitedList", name


def test_every_parameter_is_grouped_and_used(template: Template) -> None:
    interface = template.document["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template.document["Parameters"])
    for name in grouped:
        assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", template.text), name


def test_it_does_without_scheduler_pipes_and_tracing(template: Template) -> None:
    types = {resource["Type"] for resource in template.document["Resources"].values()}
    assert not [t for t in types if t.startswith(("AWS::Scheduler", "AWS::Pipes", "AWS::XRay"))]
    assert "Tracing" not in template.text


def test_no_function_lets_the_message_of_an_exception_reach_lambda(template: Template) -> None:
    for name, function in template.functions.items():
        (source,) = (ROOT / function["CodeUri"]).glob("*_handler.py")
        assert "@guard_invocation\ndef handler(" in source.read_text(encoding="utf-8"), name
