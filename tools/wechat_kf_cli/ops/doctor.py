"""Check a stack, from its secrets to its alarms, and say what to do about each fault.

    wechat-kf doctor                                       the local stack
    wechat-kf doctor --stack-name wechat-kf --region R     a deployed stack

It only reads: it asks WeChat for the current access token, and calls the push URL twice, once as
WeChat does and once with a wrong signature. No secret is shown. Exit codes: 0 nothing failed
(warnings included), 1 something failed, 2 the stack was not found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import requests

from wechat_kf_cli.ops.checks import Deployment, Finding, Reply, Verdict, examine
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import Target, add_stack_options, find_target

HEALTHY, FAILING, NOT_FOUND = 0, 1, 2

_MARKS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.FAILED: "✗", Verdict.SKIPPED: "–"}
_REQUEST_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        deployment = deployment_of(find_target(options))
    except StackError as error:
        print(error, file=sys.stderr)
        return NOT_FOUND
    findings = examine(deployment)
    print(as_json(findings) if options.json else as_text(findings))
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


def as_text(findings: Sequence[Finding]) -> str:
    """Return one line per finding, its advice below it, and the totals."""
    lines: list[str] = []
    for one in findings:
        lines.append(f"{_MARKS[one.verdict]} {one.check:<22} {one.detail}")
        if one.advice:
            lines.append(f"  → {one.advice}")
    counted = {verdict: sum(one.verdict is verdict for one in findings) for verdict in Verdict}
    totals = ", ".join(f"{number} {verdict}" for verdict, number in counted.items() if number)
    return "\n".join([*lines, "", totals])


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings for programs; `verdict` is ok, warning, failed or skipped."""
    healthy = all(one.verdict is not Verdict.FAILED for one in findings)
    document = {"healthy": healthy, "findings": [asdict(one) for one in findings]}
    return json.dumps(document, ensure_ascii=False, indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wechat_kf_cli.ops.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_stack_options(parser)
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
