"""The stack that an operator's command works on: one deployed in AWS, or the local one.

Every command takes the same options: `--stack-name`, `--region` and `--profile` choose a deployed
stack and the caller's credentials; without any of them the local stack is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import boto3
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf_cli.stack.clients import ApiClient, aws_client
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory


@dataclass(frozen=True, slots=True)
class StackOptions:
    """What chooses a stack: its name, and where it is; the local one when all are None."""

    stack_name: str | None = None
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A stack and the ways to reach it; `client` makes a boto3 client of a service.

    `emulated` is true for the local stack, whose emulator keeps no backups and evaluates no alarms.
    """

    stack_name: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    client: Callable[[str], Any] = field(repr=False)
    credentials: Credentials | None = field(repr=False)
    emulated: bool = False

    def api(self) -> ApiClient:
        """Return a client of the stack's HTTP API. Raises StackError without credentials."""
        if self.credentials is None:
            raise StackError("no AWS credentials: give --profile or set AWS_PROFILE")
        return ApiClient(self.outputs["ApiUrl"], self.region, self.credentials)


def find_target(options: StackOptions) -> Target:
    """Return the stack that the options name. Raises StackError when it cannot be found."""
    if options.stack_name is None and (options.region or options.profile):
        raise StackError("--region and --profile need --stack-name")
    try:
        return _deployed(options, options.stack_name) if options.stack_name else _local()
    except (BotoCoreError, ClientError) as error:
        raise StackError(str(error)) from error


def aws_session(options: StackOptions) -> Any:
    """Return the caller's AWS session. Raises StackError for an unknown profile."""
    try:
        return boto3.session.Session(profile_name=options.profile, region_name=options.region)
    except BotoCoreError as error:
        raise StackError(str(error)) from error


def _deployed(options: StackOptions, stack_name: str) -> Target:
    session = aws_session(options)
    stack = _describe(session.client("cloudformation"), stack_name)
    return Target(
        stack_name=stack_name,
        region=session.region_name,
        outputs=_pairs(stack, "Output"),
        parameters=_pairs(stack, "Parameter"),
        client=session.client,
        credentials=session.get_credentials(),
    )


def _local() -> Target:
    info = StateDirectory.from_environment().read()
    client = partial(aws_client, info)
    stack = _describe(client("cloudformation"), info.stack_name)
    return Target(
        stack_name=info.stack_name,
        region=info.region,
        # The emulator's own addresses are others than its outputs say.
        outputs={**info.outputs, "ApiUrl": info.api_url, "PushUrl": info.push_url},
        parameters=_pairs(stack, "Parameter"),
        client=client,
        credentials=Credentials(info.access_key_id, info.secret_access_key),
        emulated=True,
    )


def _describe(cloudformation: Any, stack_name: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    return found[0]


def _pairs(stack: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {one[f"{kind}Key"]: one[f"{kind}Value"] for one in stack.get(f"{kind}s", ())}
