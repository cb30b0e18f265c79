"""Register merchants in bulk from a CSV file.

    wechat-kf import merchants.csv                           the local stack
    wechat-kf import merchants.csv --stack-name wechat-kf    a deployed stack

Columns: external_id, account_name, nickname, icon_file. The whole file is checked before the first
call. Stop it at any time and run the same command again to continue. The result file has the
outcome and reason of every row.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

import requests

from wechat_kf_cli.ops.merchant_results import Outcome, Result, ResultFile
from wechat_kf_cli.ops.merchant_rows import Row, read_rows
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import add_stack_options, aws_session, find_target

DONE, FAILED, UNUSABLE, STOPPED = 0, 1, 2, 130
"""Exit codes: all registered; some refused; the file or the command is wrong; interrupted."""

TRIES = 5
LONGEST_PAUSE_SECONDS = 300
"""What a `Retry-After` may ask for; the same command continues later anyway."""

HOPELESS = frozenset(
    {"sub_merchant_limit", "daily_quota_used_up", "capability_not_enabled", "api_banned"}
)
"""Refusals that every other row would meet too: the import stops."""


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
    done_before: int = 0
    """Rows that an earlier run has registered."""

    def run(
        self, rows: Sequence[Row], progress: Callable[[Counter[Outcome]], None]
    ) -> dict[int, Result]:
        """Return the result of every row, by line; end early when interrupted or hopeless."""
        found = self.results.done(rows)
        self.done_before = len(found)
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
            return Result.of(row, Outcome.NOT_TRIED, reason="the import stopped before this row")
        result = self._try(row)
        self.results.append(result)
        if result.code in HOPELESS:
            self.stop.set()
        return result

    def _try(self, row: Row) -> Result:
        try:
            body = row.body()
        except OSError as error:
            reason = f"the icon file cannot be read: {error.strerror}"
            return Result.of(row, Outcome.FAILED, code="icon_unreadable", reason=reason)
        result = Result.of(row, Outcome.FAILED, reason="not tried")
        for attempt in range(TRIES):
            try:
                answer = self.api.post("/merchants", body)
            except (requests.RequestException, OSError) as error:
                reason = f"no answer: {type(error).__name__}"
                result = Result.of(row, Outcome.FAILED, code="no_answer", reason=reason)
                self._wait(2**attempt)
                continue
            result = _result(row, answer)
            if not _worth_another_try(answer, result) or self.stop.is_set():
                break
            self._wait(_pause(answer.headers.get("Retry-After", ""), 2**attempt))
        return result

    def _wait(self, seconds: float) -> None:
        wait = self.pause or self.stop.wait  # an interrupt ends it early
        wait(seconds)


def _pause(retry_after: str, default: float) -> float:
    """Return the seconds that `Retry-After` asks for, as a number or as a date."""
    seconds = default
    if re.fullmatch("[0-9]{1,9}", retry_after):
        seconds = int(retry_after)
    elif retry_after:
        with suppress(ValueError):
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
    return min(max(seconds, 0), LONGEST_PAUSE_SECONDS)


def _worth_another_try(answer: requests.Response, result: Result) -> bool:
    return answer.status_code in (429, 502, 503, 504) and result.code not in HOPELESS


def _result(row: Row, answer: requests.Response) -> Result:
    document = _document(answer)
    if answer.status_code in (200, 201):
        if not document.get("business_id"):
            reason = "the answer names no merchant: is this the address of the API?"
            return Result.of(row, Outcome.FAILED, code="unusable_answer", reason=reason)
        outcome = Outcome.REGISTERED if answer.status_code == 201 else Outcome.EXISTING
        found = {"business_id": str(document["business_id"])}
        if document.get("nickname", row.nickname) != row.nickname:
            reason = f"not changed: its nickname is {document['nickname']}"
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


def api_of(options: argparse.Namespace) -> ApiClient:
    """Return a client of the API at `--api-url`, else of the stack that the options name.

    Raises StackError when the API or the caller's credentials are not found.
    """
    if not options.api_url or options.stack_name:
        return find_target(options).api()
    session = aws_session(options)
    credentials = session.get_credentials()
    if credentials is None:
        raise StackError("no AWS credentials: give --profile or set AWS_PROFILE")
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", options.api_url)
    region = options.region or (named[1] if named else session.region_name)
    if not region:
        raise StackError("the address does not contain a region: give --region")
    return ApiClient(options.api_url.rstrip("/"), region, credentials)


def summary(results: Mapping[int, Result]) -> str:
    """Return a table of how many rows had each outcome, and why."""
    reasons = Counter((result.outcome, result.code) for result in results.values())
    lines = [f"{'outcome':<12} {'rows':>5}  why", f"{'-' * 12} {'-' * 5}  {'-' * 30}"]
    for (outcome, why), count in sorted(reasons.items()):
        lines.append(f"{outcome:<12} {count:>5}  {why}".rstrip())
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        table = read_rows(options.file)
    except OSError as error:
        print(f"{options.file}: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    if table.encoding != "UTF-8":
        name = table.rows[0].nickname if table.rows else ""
        print(f"read as {table.encoding}; the first nickname is {name}", file=sys.stderr)
    for fault in table.faults:
        print(fault, file=sys.stderr)
    if table.faults:
        print(f"{len(table.faults)} faults; nothing was sent", file=sys.stderr)
        return UNUSABLE
    if options.check:
        print(f"{len(table.rows)} rows, no faults")
        return DONE
    try:
        return _import(options, table.rows)
    except OSError as error:
        print(f"the result file cannot be written: {error.strerror}", file=sys.stderr)
        return UNUSABLE


def _import(options: argparse.Namespace, rows: Sequence[Row]) -> int:
    path: Path = options.result or options.file.with_suffix(".result.csv")
    try:
        api = api_of(options)
    except StackError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    run = Import(api, ResultFile(path, api.url), workers=options.workers)
    results = run.run(rows, _progress(len(rows)))
    if run.done_before:
        print(f"{run.done_before} of {len(rows)} rows were done by an earlier run")
    print(f"\n{summary(results)}\n\nresults by row: {path}")
    if all(result.outcome.done for result in results.values()):
        return DONE
    if run.stop.is_set():
        print("Stopped early. Run the same command again to continue.", file=sys.stderr)
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
        prog="python -m wechat_kf_cli.ops.import_merchants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the CSV file")
    add_stack_options(parser)
    parser.add_argument(
        "--api-url",
        default=os.environ.get("WECHAT_KF_API_URL"),
        help="address of the API, instead of --stack-name (default: WECHAT_KF_API_URL)",
    )
    parser.add_argument("--result", type=Path, help="result file (default: FILE.result.csv)")
    parser.add_argument("--workers", type=int, default=4, help="concurrent calls (default: 4)")
    parser.add_argument("--check", action="store_true", help="check the file and send nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
