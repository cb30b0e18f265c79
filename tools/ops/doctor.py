"""Look a deployed stack over, from the secrets to the alarms, and say what to do.

    python -m tools.ops.doctor                                       the local stack
    python -m tools.ops.doctor --stack-name wechat-kf --region R     a deployed one

Reads, and changes nothing: it asks WeChat for the token it hands out anyway, and calls the push URL
twice, once as WeChat does and once with a wrong signature. No secret is shown. Exit codes: 0 all
well (warnings included), 1 something fails, 2 the stack cannot be found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from tools.ops.checks import Deployment, Finding, Reply, Verdict, examine
from tools.stack.clients import aws_client
from tools.stack.stack_error import StackError
from tools.stack.state import StateDirectory

WELL, FAILING, NOT_FOUND = 0, 1, 2

_MARKS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.FAILED: "✗", Verdict.SKIPPED: "–"}
_REQUEST_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        deployment = (
            deployed(options.stack, options.region) if options.stack else local_deployment()
        )
    except (StackError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return NOT_FOUND
    findings = examine(deployment)
    print(as_json(findings) if options.json else as_text(findings))
    return FAILING if any(one.verdict is Verdict.FAILED for one in findings) else WELL


def deployed(stack: str, region: str | None) -> Deployment:
    """A stack in AWS, with the caller's own credentials. Raises botocore's errors."""
    session: Any = get_session()
    client = partial(session.create_client, region_name=region)
    described = _described(client("cloudformation"), stack)
    return Deployment(
        stack=stack,
        outputs=described["outputs"],
        parameters=described["parameters"],
        push_url=described["outputs"].get("PushUrl", ""),
        client=client,
        get=http_get,
    )


def local_deployment() -> Deployment:
    """The stack of `LOCAL_DIR`. Raises StackError when there is none."""
    info = StateDirectory.from_environment().read()
    client = partial(aws_client, info)
    described = _described(client("cloudformation"), info.stack_name)
    return Deployment(
        stack=info.stack_name,
        outputs=info.outputs,
        parameters=described["parameters"],
        push_url=info.push_url,
        client=client,
        get=http_get,
        emulated=True,
    )


def _described(cloudformation: Any, stack: str) -> dict[str, dict[str, str]]:
    found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {
        "outputs": {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", ())},
        "parameters": {
            one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", ())
        },
    }


def http_get(url: str, query: dict[str, str]) -> Reply:
    """What the internet sees of the push URL. Raises `ConnectionError` when there is no answer."""
    try:
        answer = requests.get(url, query, timeout=_REQUEST_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # Never its text: the URL in it carries a signature.
        raise ConnectionError(type(error).__name__) from None
    return Reply(answer.status_code, answer.text)


def as_text(findings: Sequence[Finding]) -> str:
    """One line a finding, what to do below it, and the sum of it all."""
    lines: list[str] = []
    for one in findings:
        lines.append(f"{_MARKS[one.verdict]} {one.check:<22} {one.detail}")
        if one.advice:
            lines.append(f"  → {one.advice}")
    counted = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    told = ", ".join(f"{number} {verdict}" for verdict, number in counted.items() if number)
    return "\n".join([*lines, "", told])


def as_json(findings: Sequence[Finding]) -> str:
    """The same for programs; `verdict` is ok, warning, failed or skipped."""
    healthy = all(one.verdict is not Verdict.FAILED for one in findings)
    document = {"healthy": healthy, "findings": [asdict(one) for one in findings]}
    return json.dumps(document, ensure_ascii=False, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.ops.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stack", "--stack-name", help="name of the CloudFormation stack (the local one)"
    )
    parser.add_argument("--region", help="of the stack, if it is not your usual one")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
