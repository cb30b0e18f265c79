"""The command `import`: register merchants in bulk from a CSV file."""

from __future__ import annotations

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
from typing import Annotated, Any, Protocol

import requests
import typer

from wechat_kf_cli.ops.merchant_results import Outcome, Result, ResultFile
from wechat_kf_cli.ops.merchant_rows import Row, read_rows
from wechat_kf_cli.options import Profile, Region, StackName
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, aws_session, find_target

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


def find_api(options: StackOptions, api_url: str | None) -> ApiClient:
    """Return a client of the API at `api_url`, else of the stack that the options name.

    Raises StackError when the API or the caller's credentials are not found.
    """
    if not api_url or options.stack_name:
        return find_target(options).api()
    session = aws_session(options)
    credentials = session.get_credentials()
    if credentials is None:
        raise StackError("no AWS credentials: give --profile or set AWS_PROFILE")
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", api_url)
    region = options.region or (named[1] if named else session.region_name)
    if not region:
        raise StackError("the address does not contain a region: give --region")
    return ApiClient(api_url.rstrip("/"), region, credentials)


def summary(results: Mapping[int, Result]) -> str:
    """Return a table of how many rows had each outcome, and why."""
    reasons = Counter((result.outcome, result.code) for result in results.values())
    lines = [f"{'outcome':<12} {'rows':>5}  why", f"{'-' * 12} {'-' * 5}  {'-' * 30}"]
    for (outcome, why), count in sorted(reasons.items()):
        lines.append(f"{outcome:<12} {count:>5}  {why}".rstrip())
    return "\n".join(lines)


def import_merchants(  # noqa: PLR0913, PLR0917 - the options of the command
    file: Annotated[Path, typer.Argument(help="The CSV file.", show_default=False)],
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
    api_url: Annotated[
        str | None,
        typer.Option(envvar="WECHAT_KF_API_URL", help="Address of the API, instead of a stack."),
    ] = None,
    result: Annotated[
        Path | None, typer.Option(help="Result file.", show_default="FILE.result.csv")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Calls at the same time.")] = 4,
    *,
    check: Annotated[bool, typer.Option("--check", help="Check the file, send nothing.")] = False,
) -> int:
    """Register merchants from a CSV file.

    Columns: external_id, account_name, nickname, icon_file. The whole file is checked before the
    first call. Stop it at any time and run the same command again to continue. The result file has
    the outcome and reason of every row.

    Exit codes: 0 all registered, 1 some refused, 2 the file or the command is wrong, 130 stopped.
    """
    try:
        table = read_rows(file)
    except OSError as error:
        print(f"{file}: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    if table.encoding != "UTF-8":
        name = table.rows[0].nickname if table.rows else ""
        print(f"read as {table.encoding}; the first nickname is {name}", file=sys.stderr)
    for fault in table.faults:
        print(fault, file=sys.stderr)
    if table.faults:
        print(f"{len(table.faults)} faults; nothing was sent", file=sys.stderr)
        return UNUSABLE
    if check:
        print(f"{len(table.rows)} rows, no faults")
        return DONE
    try:
        api = find_api(StackOptions(stack_name, region, profile), api_url)
    except StackError as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    path = result or file.with_suffix(".result.csv")
    try:
        return _import(Import(api, ResultFile(path, api.url), workers=workers), table.rows, path)
    except OSError as error:
        print(f"the result file cannot be written: {error.strerror}", file=sys.stderr)
        return UNUSABLE


def _import(run: Import, rows: Sequence[Row], path: Path) -> int:
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
