"""Register merchants in bulk from a CSV file.

    python -m tools.ops.import_merchants merchants.csv --api-url https://….execute-api.….amazonaws.com

Columns: external_id, account_name, nickname, icon_file. Everything is checked before the first
call. Stop it at any time: the same command goes on where it was. The result file says, row by row,
what happened and why.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import requests
from botocore.session import get_session

from tools.ops.merchant_results import Outcome, Result, ResultFile
from tools.ops.merchant_rows import Row, read_rows
from tools.stack.clients import ApiClient
from tools.stack.stack_error import StackError
from tools.stack.state import StateDirectory

DONE, FAILED, UNUSABLE, STOPPED = 0, 1, 2, 130
"""Exit codes: all rows are in; some are not; the file or the command is wrong; interrupted."""

TRIES = 5
HOPELESS = frozenset(
    {"sub_merchant_limit", "daily_quota_used_up", "capability_not_enabled", "api_banned"}
)
"""What no other row will fare better with: the import stops."""


class Api(Protocol):
    """The platform's HTTP API."""

    def post(self, path: str, json: Any = None) -> requests.Response: ...


@dataclass(slots=True)
class Import:
    """One run over the rows that are not done yet."""

    api: Api
    results: ResultFile
    pause: Callable[[float], object] | None = None
    workers: int = 4
    stop: threading.Event = field(default_factory=threading.Event)

    def run(
        self, rows: Sequence[Row], progress: Callable[[Counter[Outcome]], None]
    ) -> dict[int, Result]:
        """The result of every row, by line. Ends early after an interrupt or a hopeless refusal."""
        found = self.results.done(rows)
        counts = Counter(result.outcome for result in found.values())
        waiting = [row for row in rows if row.line not in found]
        with ThreadPoolExecutor(self.workers) as pool:
            tries = {pool.submit(self._register, row): row for row in waiting}
            try:
                for result in self._finished(tries):
                    found[result.line] = result
                    counts[result.outcome] += 1
                    progress(counts)
            except KeyboardInterrupt:
                self.stop.set()
        for attempt, row in tries.items():
            found[row.line] = attempt.result()
        self.results.replace(found)
        return found

    def _finished(self, tries: Iterable[Future[Result]]) -> Iterable[Result]:
        for attempt in as_completed(tries):
            yield attempt.result()

    def _register(self, row: Row) -> Result:
        if self.stop.is_set():
            return Result.of(row, Outcome.NOT_TRIED, reason="the import was stopped before")
        result = self._settled(row)
        self.results.append(result)
        if result.code in HOPELESS:
            self.stop.set()
        return result

    def _settled(self, row: Row) -> Result:
        result = Result.of(row, Outcome.FAILED, reason="not tried")
        for attempt in range(TRIES):
            try:
                answer = self.api.post("/merchants", row.body())
            except (requests.RequestException, OSError) as error:
                reason = f"no answer: {type(error).__name__}"
                result = Result.of(row, Outcome.FAILED, code="no_answer", reason=reason)
                self._wait(2**attempt)
                continue
            result = _result(row, answer)
            if not _worth_another_try(answer, result) or self.stop.is_set():
                break
            self._wait(float(answer.headers.get("Retry-After", 2**attempt)))
        return result

    def _wait(self, seconds: float) -> None:
        wait = self.pause or self.stop.wait  # an interrupt ends it early
        wait(seconds)


def _worth_another_try(answer: requests.Response, result: Result) -> bool:
    return answer.status_code in (429, 502, 503, 504) and result.code not in HOPELESS


def _result(row: Row, answer: requests.Response) -> Result:
    document = _document(answer)
    if answer.status_code in (200, 201):
        outcome = Outcome.REGISTERED if answer.status_code == 201 else Outcome.EXISTING
        found = {"business_id": str(document["business_id"])}
        if document["nickname"] != row.nickname:
            reason = f"its nickname is {document['nickname']}: not changed"
            found |= {"code": "nickname_differs", "reason": reason}
        return Result.of(row, outcome, **found)
    return Result.of(
        row,
        Outcome.FAILED,
        business_id=str(document.get("business_id", "")),
        code=str(document.get("code", f"http_{answer.status_code}")),
        reason=str(document.get("detail") or document.get("message") or answer.reason),
        rid=str(document.get("rid", "")),
    )


def _document(answer: requests.Response) -> Mapping[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def api_of(url: str | None, region: str | None) -> ApiClient:
    """The API to call: the one at `url` with the usual AWS credentials, else the local stack.

    Raises StackError when it cannot be told where the API is, or who calls.
    """
    if url is None:
        return ApiClient.of(StateDirectory.from_environment().read())
    session = get_session()
    credentials = session.get_credentials()
    if credentials is None:
        raise StackError("no AWS credentials: set AWS_PROFILE or the like")
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", url)
    region = region or (named[1] if named else session.get_config_variable("region"))
    if not region:
        raise StackError("the address names no region: give --region")
    return ApiClient(url.rstrip("/"), region, credentials)


def summary(results: Mapping[int, Result]) -> str:
    """The table at the end: how many of each outcome, and why."""
    reasons = Counter((result.outcome, result.code) for result in results.values())
    lines = [f"{'outcome':<12} {'rows':>5}  why", f"{'-' * 12} {'-' * 5}  {'-' * 30}"]
    for (outcome, why), count in sorted(reasons.items()):
        lines.append(f"{outcome:<12} {count:>5}  {why}".rstrip())
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        rows, faults = read_rows(options.file)
    except (OSError, UnicodeDecodeError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return UNUSABLE
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{len(faults)} faults; nothing was sent", file=sys.stderr)
        return UNUSABLE
    if options.check:
        print(f"{len(rows)} rows, no fault")
        return DONE
    return _import(options, rows)


def _import(options: argparse.Namespace, rows: Sequence[Row]) -> int:
    path: Path = options.result or options.file.with_suffix(".result.csv")
    try:
        api = api_of(options.api_url, options.region)
    except StackError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    run = Import(api, ResultFile(path), workers=options.workers)
    results = run.run(rows, _progress(len(rows)))
    print(f"\n{summary(results)}\n\nrow by row: {path}")
    if all(result.outcome.done for result in results.values()):
        return DONE
    if run.stop.is_set():
        print("stopped early; the same command goes on from here", file=sys.stderr)
    return STOPPED if run.stop.is_set() else FAILED


def _progress(total: int) -> Callable[[Counter[Outcome]], None]:
    terminal = sys.stderr.isatty()

    def show(counts: Counter[Outcome]) -> None:
        done = counts.total()
        if not terminal and done % 50 and done != total:
            return
        words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        end = "" if terminal else "\n"
        print(f"{chr(13) if terminal else ''}{done}/{total}: {words}   ", end=end, file=sys.stderr)

    return show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.ops.import_merchants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the CSV file")
    parser.add_argument(
        "--api-url",
        default=os.environ.get("WECHAT_KF_API_URL"),
        help="the stack's output ApiUrl, or WECHAT_KF_API_URL; without it the local stack",
    )
    parser.add_argument("--region", help="of the API, where its address does not say it")
    parser.add_argument("--result", type=Path, help="the result file (default: FILE.result.csv)")
    parser.add_argument("--workers", type=int, default=4, help="calls at the same time (4)")
    parser.add_argument("--check", action="store_true", help="only check the file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
