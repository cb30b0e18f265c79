"""The contract tests against moto, and as much of the template as moto can deploy.

    python -m tests.rehearsal.on_moto PYTHON

`PYTHON` is that of an environment of moto's own. A failure that
`tests/contracts/known_faults.py` does not list fails the run, and so does a listed one that passes.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from tests.contracts.endpoints import PREFIX, NamedEndpoints, endpoints_of
from tests.rehearsal.template import transform
from wechat_kf_cli.stack.state import ROOT, StateDirectory
from wechat_kf_local.emulator import REGION, find_free_port, plain_environment
from wechat_kf_local.processes import Service

STACK_NAME = "wechat-kf"
BUCKET = "artifacts"
KEY = "code.zip"
APP_ID = "wx0123456789abcdef"
READY_SECONDS = 60.0
SERVER = str(Path(__file__).parent / "serve_moto.py")

LACKING = {
    "AWS::ApiGatewayV2::Api": "no HTTP APIs",
    "AWS::ApiGatewayV2::Stage": "no HTTP APIs",
    "AWS::CloudWatch::Alarm": "no alarms",
    "AWS::SNS::Subscription": "no subscriptions",
    "AWS::SQS::QueuePolicy": "no queue policies",
    "AWS::SecretsManager::Secret": "no secrets",
}
"""What the CloudFormation of moto lacks, by type of resource."""


def main(arguments: list[str]) -> int:
    [python] = arguments
    with TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder))
        port = find_free_port()
        service = Service(state, "moto")
        service.start([python, "-P", SERVER, str(port)], plain_environment())
        try:
            named = {PREFIX: f"http://127.0.0.1:{port}", "CONTRACTS_FAULTS": "moto"}
            service.wait_for(lambda: _answers(named[PREFIX]), READY_SECONDS)
            status = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "tests/contracts"],
                check=False,
                cwd=ROOT,
                env={**os.environ, **named},
            ).returncode
            moto = endpoints_of(named, state)
            assert moto is not None
            deployed = _deploy(moto)
        finally:
            service.stop()
    return int(status != 0 or not deployed)


def _answers(url: str) -> bool | None:
    try:
        return requests.get(f"{url}/moto-api/data.json", timeout=1).ok or None
    except requests.RequestException:
        return None


def _deploy(moto: NamedEndpoints) -> bool:
    """Create the template's resources, less those that moto lacks, and say what came of it."""
    storage = moto.client("s3")
    storage.create_bucket(Bucket=BUCKET)
    storage.put_object(Bucket=BUCKET, Key=KEY, Body=_archive())
    whole = transform({"AppId": APP_ID}, REGION, f"s3://{BUCKET}/{KEY}")
    template = _without_lacking(whole)
    cloudformation = moto.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK_NAME,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "AppId", "ParameterValue": APP_ID}],
        Capabilities=["CAPABILITY_IAM"],
    )
    [stack] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK_NAME)
    made = Counter(one["ResourceType"] for page in pages for one in page["StackResourceSummaries"])
    wanted = Counter(resource["Type"] for resource in template["Resources"].values())
    left_out = Counter(resource["Type"] for resource in whole["Resources"].values()) - wanted
    print(f"template on moto: {stack['StackStatus']}, {sum(made.values())} resources made")
    for type_name, number in sorted(left_out.items()):
        reason = LACKING[type_name]
        print(f"  left out: {number:2} {type_name} ({reason})")
    if made != wanted:
        print(f"  not made: {dict(wanted - made)}")
    return bool(stack["StackStatus"] == "CREATE_COMPLETE" and made == wanted)


def _without_lacking(whole: dict[str, Any]) -> dict[str, Any]:
    """The template less what moto lacks; references to that become plain text."""
    missing = {name for name, resource in whole["Resources"].items() if resource["Type"] in LACKING}
    kept = {name: one for name, one in whole["Resources"].items() if name not in missing}
    resources: dict[str, Any] = _without_references(kept, missing)
    for name, resource in resources.items():
        if resource.get("Properties", {}).get("FifoQueue"):
            # moto's CloudFormation makes up a name without the suffix that SQS demands
            resource["Properties"]["QueueName"] = f"{name}.fifo"
        if "EventBusName" in resource.get("Properties", {}):
            # a reference to a bus should be its name; in moto it is an object of moto's own
            bus = resource["Properties"]["EventBusName"]["Ref"]
            resource["Properties"]["EventBusName"] = resources[bus]["Properties"]["Name"]
            resource["DependsOn"] = bus
    return {key: value for key, value in whole.items() if key != "Outputs"} | {
        "Resources": resources
    }


def _without_references(node: Any, missing: set[str]) -> Any:
    if isinstance(node, list):
        return [_without_references(one, missing) for one in node]
    if not isinstance(node, dict):
        return node
    match node:
        case {"Ref": str(name)} if name in missing:
            return name
        case {"Fn::GetAtt": [str(name), *_]} if name in missing:
            return name
        case _:
            return {key: _without_references(one, missing) for key, one in node.items()}


def _archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("empty.py", "")
    return content.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
