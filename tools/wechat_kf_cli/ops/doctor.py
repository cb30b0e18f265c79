"""The command `doctor`: check a stack, and say what to do about each fault."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import requests
import typer

from wechat_kf_cli.ops.checks import Deployment, Finding, Reply, Verdict, examine
from wechat_kf_cli.options import Profile, Region, StackName
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, Target, find_target

HEALTHY, FAILING, NOT_FOUND = 0, 1, 2

_MARKS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.FAILED: "✗", Verdict.SKIPPED: "–"}
_REQUEST_SECONDS = 10


def doctor(
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Check a stack, from its secrets to its alarms, and say what to do about each fault.

    It only reads: it asks WeChat for the current access token, and calls the push URL twice, once
    as WeChat does and once with a wrong signature. No secret is shown.

    Exit codes: 0 nothing failed (warnings included), 1 something failed, 2 the stack was not found.
    """
    try:
        deployment = deployment_of(find_target(StackOptions(stack_name, region, profile)))
    except StackError as error:
        print(error, file=sys.stderr)
        return NOT_FOUND
    findings = examine(deployment)
    print(to_json(findings) if as_json else to_text(findings))
    return FAILING if any(one.verdict is Verdict.FAILED for one in findings) else HEALTHY


def deployment_of(target: Target) -> Deployment:
    """Return what the checks look at, reached over the network."""
    return Deployment(
        stack=target.stack_name,
        outputs=target.outputs,
        parameters=target.parameters,
        push_url=target.outputs.get("PushUrl", ""),
        client=target.client,
        get=http_get,
        emulated=target.emulated,
    )


def http_get(url: str, query: dict[str, str]) -> Reply:
    """Call the push URL as anyone can. Raises `ConnectionError` when there is no answer."""
    try:
        answer = requests.get(url, query, timeout=_REQUEST_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        # Never its text: the URL in it holds a signature.
        raise ConnectionError(type(error).__name__) from None
    return Reply(answer.status_code, answer.text)


def to_text(findings: Sequence[Finding]) -> str:
    """Return one line per finding, its advice below it, and the totals."""
    lines: list[str] = []
    for one in findings:
        lines.append(f"{_MARKS[one.verdict]} {one.check:<22} {one.detail}")
        if one.advice:
            lines.append(f"  → {one.advice}")
    counted = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    totals = ", ".join(f"{number} {verdict}" for verdict, number in counted.items() if number)
    return "\n".join([*lines, "", totals])


def to_json(findings: Sequence[Finding]) -> str:
    """Return the findings for programs; `verdict` is ok, warning, failed or skipped."""
    healthy = all(one.verdict is not Verdict.FAILED for one in findings)
    document = {"healthy": healthy, "findings": [asdict(one) for one in findings]}
    return json.dumps(document, ensure_ascii=False, indent=2)
