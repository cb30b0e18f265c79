"""Grant SQS batch actions by name: a workaround for the emulator.

In AWS `sqs:SendMessage` also covers SendMessageBatch, and so on; an action `sqs:SendMessageBatch`
does not exist. The emulator requires it, so each role that grants the one is also granted the other
on the same resource. Nothing else is widened, and none of this runs in AWS.
"""

import json
from collections.abc import Mapping
from typing import Any

from wechat_kf_local.emulator import Emulator

BATCHED = {f"sqs:{name}" for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")}


def grant_batches(emulator: Emulator, stack_name: str) -> None:
    """Add the batch actions to the inline policies of all roles of the stack."""
    iam = emulator.client("iam")
    resources = emulator.client("cloudformation").describe_stack_resources(StackName=stack_name)
    for resource in resources["StackResources"]:
        if resource["ResourceType"] != "AWS::IAM::Role":
            continue
        role = resource["PhysicalResourceId"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            widened = json.dumps(with_batches(policy))
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=widened)


def with_batches(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy with the batch form of every SQS action it allows."""
    return {**policy, "Statement": [_with_batches(one) for one in policy["Statement"]]}


def _with_batches(statement: Mapping[str, Any]) -> dict[str, Any]:
    stated = statement["Action"]
    actions = [stated] if isinstance(stated, str) else stated
    return {
        **statement,
        "Action": [*actions, *(f"{one}Batch" for one in actions if one in BATCHED)],
    }
