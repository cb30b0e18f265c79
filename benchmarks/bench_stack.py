"""A separate stack for benchmarks that need one."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client
from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local import stack as local_stack
from wechat_kf_local.deploy import BUCKET_NAME

DIRECTORY = ".local/bench"
EMPTY_PIPELINE = Path(__file__).parent / "empty_pipeline"
PAGE = 50
"""The most that LookupEvents returns at once; the emulator has no further page."""

Recorded = dict[str, Any]


@contextmanager
def bench_stack(*, records_calls: bool = False) -> Iterator[StackInfo]:
    """Deploy the real template, and stop the stack afterwards.

    With `records_calls` the emulator records every AWS call, which costs it time.
    """
    os.environ.update(CLOUDTRAIL_RECORDING=str(int(records_calls)), CLOUDTRAIL_MAX_EVENTS="100000")
    state = StateDirectory.from_environment({"LOCAL_DIR": DIRECTORY})
    local_stack.down(state)
    try:
        with redirect_stdout(sys.stderr):
            stack = local_stack.up(state, local_stack.Progress())
        yield stack
    finally:
        local_stack.down(state)


def adopt_merchants(stack: StackInfo, merchants: Sequence[Mapping[str, str]]) -> list[str]:
    """Register merchants with WeChat, adopt them here, and return their business ids."""
    simulator = SimulatorClient(stack.simulator_url)
    registered = [simulator.call("POST", "/_sim/merchants", one) for one in merchants]
    ApiClient.of(stack).post("/merchants/sync", {}).raise_for_status()
    return [str(one["business_id"]) for one in registered]


def deploy_empty_pipeline(stack: StackInfo, target: str) -> str:
    """Deploy the empty pipeline and return the URL that its messages are posted to."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.write(EMPTY_PIPELINE / "forward.py", "forward.py")
    aws_client(stack, "s3").put_object(
        Bucket=BUCKET_NAME, Key="forward.zip", Body=archive.getvalue()
    )
    cloudformation = aws_client(stack, "cloudformation")
    parameters = {"Bucket": BUCKET_NAME, "Target": target}
    cloudformation.create_stack(
        StackName="empty-pipeline",
        TemplateBody=(EMPTY_PIPELINE / "template.yaml").read_text(encoding="utf-8"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
    )
    waiter = cloudformation.get_waiter("stack_create_complete")
    waiter.wait(StackName="empty-pipeline", WaiterConfig={"Delay": 1})
    (made,) = cloudformation.describe_stacks(StackName="empty-pipeline")["Stacks"]
    (api_id,) = [output["OutputValue"] for output in made["Outputs"]]
    return f"{stack.aws_endpoint_url}/_aws/execute-api/{api_id}/push"


def calls_between(stack: StackInfo, start: float, end: float) -> Counter[tuple[str, str]]:
    """Count the calls by (operation, logical id of its table or queue) in a span of time.

    The sweeper's own reads, once a minute, are left out.
    """
    names = {value.rpartition("/")[2]: key for key, value in stack.outputs.items()}
    found: Counter[tuple[str, str]] = Counter()
    for event in _events(stack, start, end):
        asked = json.loads(event["CloudTrailEvent"])["requestParameters"] or {}
        if asked.get("IndexName") == "unsettled":
            continue
        target = str(asked.get("TableName") or asked.get("QueueUrl") or "").rpartition("/")[2]
        if target in names:
            logical_id = names[target].removesuffix("Name").removesuffix("Url")
            found[event["EventName"], logical_id] += 1
    return found


def _events(stack: StackInfo, start: float, end: float) -> list[Recorded]:
    """Read all events of a span, backwards in time, page by page."""
    found: dict[str, Recorded] = {}
    while True:
        page = _lookup(stack, {"StartTime": start, "EndTime": end, "MaxResults": PAGE})
        fresh = {event["EventId"]: event for event in page if event["EventId"] not in found}
        found |= fresh
        if len(page) < PAGE or not fresh:
            return list(found.values())
        end = min(event["EventTime"] for event in page)


def _lookup(stack: StackInfo, query: dict[str, Any]) -> list[Recorded]:
    """Call LookupEvents directly: botocore would truncate the times to whole seconds."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "CloudTrail_20131101.LookupEvents",
    }
    request = AWSRequest("POST", stack.aws_endpoint_url, data=json.dumps(query), headers=headers)
    credentials = Credentials(stack.access_key_id, stack.secret_access_key)
    SigV4Auth(credentials, "cloudtrail", stack.region).add_auth(request)
    answer = requests.post(
        stack.aws_endpoint_url, request.data, headers=dict(request.headers.items()), timeout=30
    )
    answer.raise_for_status()
    events: list[Recorded] = answer.json()["Events"]
    return events
