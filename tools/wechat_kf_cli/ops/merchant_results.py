"""The result of every row, in a CSV file that grows as the import runs, so that it can resume."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from wechat_kf_cli.ops.merchant_rows import Row


class Outcome(StrEnum):
    """`existing`: registered before; with a reason when WeChat has another nickname."""

    REGISTERED = "registered"
    EXISTING = "existing"
    FAILED = "failed"
    NOT_TRIED = "not tried"

    @property
    def done(self) -> bool:
        return self in (Outcome.REGISTERED, Outcome.EXISTING)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one row. `code` and `rid` are the API's; `reason` is for people."""

    line: int
    external_id: str
    account_name: str
    nickname: str
    outcome: Outcome
    business_id: str = ""
    code: str = ""
    reason: str = ""
    rid: str = ""
    api: str = ""
    """The address of the API that answered: another stack knows nothing of it."""

    @classmethod
    def of(cls, row: Row, outcome: Outcome, **found: str) -> Result:
        return cls(row.line, row.external_id, row.name, row.nickname, outcome, **found)

    def is_of(self, row: Row) -> bool:
        """Return whether this is the result of the row as it reads now."""
        wanted = (row.external_id, row.name, row.nickname)
        return wanted == (self.external_id, self.account_name, self.nickname)


_NAMES = [field.name for field in fields(Result)]


class ResultFile:
    """Appends results as they come; the last one of a row counts, of this `api` alone."""

    def __init__(self, path: Path, api: str) -> None:
        self._path = path
        self._api = api
        self._lock = threading.Lock()
        self._started = False

    def done(self, rows: Sequence[Row]) -> dict[int, Result]:
        """Return the results of an earlier run that are still valid, by line."""
        by_name = {one.account_name: one for one in self._read() if one.api == self._api}
        found = {row.line: by_name[row.name] for row in rows if row.name in by_name}
        return {
            row.line: found[row.line]
            for row in rows
            if row.line in found and found[row.line].outcome.done and found[row.line].is_of(row)
        }

    def append(self, result: Result) -> None:
        """Write one result at once: an import may be stopped at any moment."""
        with self._lock, self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _NAMES)
            if not self._started:
                self._started = True
                if file.tell() == 0:
                    writer.writeheader()
                else:
                    file.write("\r\n")  # the last line of a run that was killed may be cut off
            writer.writerow(self._values(result))

    def replace(self, results: Mapping[int, Result]) -> None:
        """Replace the file by one result per row, in order, in one step."""
        draft = self._path.with_suffix(".part")
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _NAMES)
            writer.writeheader()
            writer.writerows(self._values(results[line]) for line in sorted(results))
        draft.replace(self._path)

    def _read(self) -> Iterator[Result]:
        """Read line by line, so that a line that was cut off spoils no other."""
        if not self._path.exists():
            return
        text = self._path.read_text(encoding="utf-8", errors="replace")
        for line in text.split("\n"):
            with suppress(csv.Error, StopIteration, ValueError):
                yield _result(next(csv.reader([line])))

    def _values(self, result: Result) -> dict[str, str]:
        """Return the values of a line: each result takes one line."""
        values = {**asdict(result), "api": self._api}
        return {name: " ".join(str(value).splitlines()) for name, value in values.items()}


def _result(values: Sequence[str]) -> Result:
    """Read a line. Raises ValueError when it is the header, cut off or none of ours."""
    named = dict(zip(_NAMES, values, strict=True))
    line, outcome = int(named.pop("line")), Outcome(named.pop("outcome"))
    return Result(line=line, outcome=outcome, **named)
