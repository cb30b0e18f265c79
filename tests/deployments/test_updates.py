"""A stack with data in it is updated: what it keeps, and what waits in it, survives."""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.conftest import Deployment
from tests.template.test_unchangeable import UNCHANGEABLE
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.batch_permissions import grant_batches
from wechat_kf_local.png import plain_png

SECONDS = 60
FAILING = """
  CannotBeMade:
    Type: AWS::SQS::Queue
    Properties: {MessageRetentionPeriod: 1}
"""
"""SQS keeps messages for a minute at least."""


@dataclass(frozen=True)
class Shop:
    """A merchant whose webhook is subscribed."""

    info: StackInfo
    business_id: str
    hook: str

    @classmethod
    def open(cls, info: StackInfo) -> Shop:
        api, receiver = ApiClient.of(info), ReceiverClient(info.receiver_url)
        hook = f"shop-{uuid.uuid4().hex[:8]}"
        icon = base64.b64encode(plain_png()).decode()
        registration = {"external_id": hook, "nickname": "柚子旗舰店", "icon": icon}
        business_id = api.post("/merchants", registration).json()["business_id"]
        target = {"type": "webhook", "url": receiver.hook(hook)}
        answer = api.post(f"/merchants/{business_id}/subscriptions", {"target": target}).json()
        receiver.configure(hook, secret=answer["secret"])
        return cls(info, business_id, hook)

    def buyer_says(self, openid: str, *texts: str) -> None:
        simulator = SimulatorClient(self.info.simulator_url)
        for text in texts:
            simulator.say(openid, self.business_id, text)

    def reply(self, openid: str, text: str) -> str:
        message = {"openid": openid, "message": {"type": "text", "text": text}}
        ApiClient.of(self.info).wait_for_conversation(self.business_id, openid)
        answer = ApiClient.of(self.info).post(f"/merchants/{self.business_id}/messages", message)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["message_id"])

    def wait_for_events(self, *texts: str) -> None:
        """Wait until the webhook has got these texts, in this order."""

        def arrived() -> bool:
            bodies = [
                one["body"] for one in ReceiverClient(self.info.receiver_url).received(self.hook)
            ]
            found = [text for body in bodies for text in texts if text in body]
            return found == list(texts)

        wait_until(arrived, SECONDS, f"{texts} at the webhook")

    def wait_until_sent(self, openid: str, text: str) -> None:
        simulator = SimulatorClient(self.info.simulator_url)
        wait_until(
            lambda: any(one.get("text") == text for one in simulator.messages(openid)),
            SECONDS,
            f"{text} on the buyer's phone",
        )


def physical_ids(info: StackInfo) -> dict[str, str]:
    cloudformation = aws_client(info, "cloudformation")
    found = cloudformation.describe_stack_resources(StackName=info.stack_name)["StackResources"]
    return {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}


def secret_values(info: StackInfo) -> dict[str, str]:
    secrets = aws_client(info, "secretsmanager")
    return {
        name: secrets.get_secret_value(SecretId=info.outputs[name])["SecretString"]
        for name in ("PushSecretArn", "AppSecretArn")
    }


def rows(info: StackInfo) -> dict[str, list[Any]]:
    """Every row of every table of the stack."""
    dynamodb = aws_client(info, "dynamodb")
    return {
        name: sorted(dynamodb.scan(TableName=physical)["Items"], key=str)
        for name, physical in physical_ids(info).items()
        if name.endswith("Table")
    }


def set_consumers(info: StackInfo, *, enabled: bool) -> None:
    """Let the queues be consumed, or let them fill."""
    functions = aws_client(info, "lambda")
    for name in ids_of_type(info, "AWS::Lambda::EventSourceMapping"):
        functions.update_event_source_mapping(UUID=name, Enabled=enabled)


def ids_of_type(info: StackInfo, type_name: str) -> list[str]:
    cloudformation = aws_client(info, "cloudformation")
    found = cloudformation.describe_stack_resources(StackName=info.stack_name)["StackResources"]
    return [one["PhysicalResourceId"] for one in found if one["ResourceType"] == type_name]


def check_that_it_works(shop: Shop) -> None:
    openid = f"o{uuid.uuid4().hex[:27]}"
    shop.buyer_says(openid, "还有货吗？")
    shop.wait_for_events("还有货吗？")
    shop.reply(openid, "有的")
    shop.wait_until_sent(openid, "有的")


@pytest.fixture(scope="module")
def shop(deployment: Deployment) -> Shop:
    SimulatorClient(deployment.info.simulator_url).configure(push_deadline_seconds=15)
    return Shop.open(deployment.info)


def test_an_update_keeps_secrets_rows_and_what_waits_in_queues(
    deployment: Deployment, shop: Shop, changed_template: Path
) -> None:
    info, openid = deployment.info, f"o{uuid.uuid4().hex[:27]}"
    shop.buyer_says(openid, "第一条")
    shop.wait_for_events("第一条")
    set_consumers(info, enabled=False)
    shop.buyer_says(openid, "第二条", "第三条")
    shop.reply(openid, "等一下")
    before = physical_ids(info), secret_values(info), rows(info)

    deployment.update(changed_template, LogLevel="DEBUG")

    after = physical_ids(info), secret_values(info), rows(info)
    assert {name: after[0].get(name) for name in UNCHANGEABLE} == {
        name: before[0][name] for name in UNCHANGEABLE
    }
    assert after[1:] == before[1:]
    assert {name for name in before[0] if name.startswith("SharedLayer")} != {
        name for name in after[0] if name.startswith("SharedLayer")
    }, "the code was not changed by the update"
    grant_batches(deployment.emulator, info.stack_name)
    set_consumers(info, enabled=True)
    shop.wait_for_events("第一条", "第二条", "第三条")
    shop.wait_until_sent(openid, "等一下")
    check_that_it_works(shop)


def test_an_update_that_fails_leaves_the_old_one_working(
    deployment: Deployment, shop: Shop, changed_template: Path
) -> None:
    info = deployment.info
    before = physical_ids(info), secret_values(info)
    changed_template.write_text(with_a_failing_resource(changed_template.read_text()))
    with pytest.raises(StackError, match="CannotBeMade"):
        deployment.update(changed_template, LogLevel="WARNING")
    cloudformation = aws_client(info, "cloudformation")
    [stack] = cloudformation.describe_stacks(StackName=info.stack_name)["Stacks"]
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (physical_ids(info), secret_values(info)) == before
    grant_batches(deployment.emulator, info.stack_name)
    check_that_it_works(shop)


def test_a_creation_that_fails_leaves_nothing_when_it_is_deleted(
    deployment: Deployment, changed_template: Path
) -> None:
    name = "wechat-kf-broken"
    changed_template.write_text(with_a_failing_resource(changed_template.read_text()))
    with pytest.raises(StackError):
        deployment.create(name, changed_template, AppId="wx0123456789abcdef")
    cloudformation = deployment.emulator.client("cloudformation")
    [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    cloudformation.delete_stack(StackName=name)

    def gone() -> bool:
        stacks = cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])
        return any(one["StackName"] == name for one in stacks["StackSummaries"])

    wait_until(gone, SECONDS, "deletion")
    assert [one for one in everything(deployment) if name in one] == []


def everything(deployment: Deployment) -> list[str]:
    """The names of all that a stack could leave behind."""
    client = deployment.emulator.client
    names: list[str] = client("dynamodb").list_tables()["TableNames"]
    names += client("sqs").list_queues().get("QueueUrls", [])
    names += [one["Name"] for one in client("secretsmanager").list_secrets()["SecretList"]]
    names += [one["logGroupName"] for one in client("logs").describe_log_groups()["logGroups"]]
    names += [one["RoleName"] for one in client("iam").list_roles()["Roles"]]
    names += [one["FunctionName"] for one in client("lambda").list_functions()["Functions"]]
    return names


def with_a_failing_resource(template: str) -> str:
    return re.sub(r"(?m)^Resources:\n", f"Resources:{FAILING}", template, count=1)
