"""Stand-in for a second gap of the emulator: it wants SQS batch calls granted by name.

In AWS `sqs:SendMessage` also covers SendMessageBatch, and so on; no action `sqs:SendMessageBatch`
exists there. So wherever a role of the stack grants the one, on the same resource the emulator is
given the other. Nothing else is widened, and in AWS none of this runs.
"""

import json
from collections.abc import Mapping
from typing import Any

from local.emulator import Emulator

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
    """The policy with the batch form of every batched SQS action it allows."""
    return {**policy, "Statement": [_with_batches(one) for one in policy["Statement"]]}


def _with_batches(statement: Mapping[str, Any]) -> dict[str, Any]:
    stated = statement["Action"]
    actions = [stated] if isinstance(stated, str) else stated
    return {
        **statement,
        "Action": [*actions, *(f"{one}Batch" for one in actions if one in BATCHED)],
    }
