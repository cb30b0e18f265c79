"""The merchants of a CSV file, read and checked as a whole before anything is sent.

Columns: external_id, account_name, nickname, icon_file. One of the two names may be empty; the icon
file's path is relative to the CSV file.
"""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from wechat_kf.api.merchant_models import AccountName, ExternalId, Nickname
from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.media import MAX_IMAGE_BYTES, image_upload
from wechat_kf.wechat.naming import derive_account_name

COLUMNS = ("external_id", "account_name", "nickname", "icon_file")


@dataclass(frozen=True, slots=True)
class Row:
    """One merchant to register; `line` is its line in the file. Empty text means not given."""

    line: int
    external_id: str
    account_name: str
    nickname: str
    icon_file: Path

    @property
    def name(self) -> str:
        """Return the account name it will have."""
        return self.account_name or derive_account_name(self.external_id)

    def body(self) -> dict[str, str]:
        """Return the request body that registers it."""
        icon = base64.b64encode(self.icon_file.read_bytes()).decode()
        given = {"external_id": self.external_id, "account_name": self.account_name}
        return {
            **{name: value for name, value in given.items() if value},
            "nickname": self.nickname,
            "icon": icon,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the file and its place. Line 1 holds the column names."""

    line: int
    column: str
    rule: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.column}: {self.rule}"


def read_rows(path: Path) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a file (UTF-8, with or without a byte order mark), and all its faults.

    Raises OSError when the file cannot be read, UnicodeDecodeError when it is not UTF-8.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        faults = list(_header_faults(reader.fieldnames or ()))
        if faults:
            return [], faults
        rows = [_row(reader.line_num, values, path.parent) for values in reader]
    checks = _Checks()
    return rows, [fault for row in rows for fault in checks.of(row)]


def _header_faults(names: Any) -> Iterator[Fault]:
    for name in COLUMNS:
        if name not in names:
            yield Fault(1, name, "this column is missing")
    for name in names:
        if name not in COLUMNS:
            yield Fault(1, str(name), f"unknown column; the columns are {', '.join(COLUMNS)}")


def _row(line: int, values: dict[str, str | None], folder: Path) -> Row:
    text = {name: (values.get(name) or "").strip() for name in COLUMNS}
    return Row(
        line=line,
        external_id=text["external_id"],
        account_name=text["account_name"],
        nickname=text["nickname"],
        icon_file=folder / text["icon_file"],
    )


class _Checks:
    """The rules of one row, and those between rows. Every icon file is read once."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str], int] = {}
        self._icons: dict[Path, str] = {}

    def of(self, row: Row) -> Iterator[Fault]:
        yield from self._value(row, "nickname", row.nickname, Nickname)
        if not (row.external_id or row.account_name):
            yield Fault(row.line, "account_name", "this or external_id is required")
            return
        if row.external_id:
            yield from self._value(row, "external_id", row.external_id, ExternalId)
            yield from self._repeat(row, "external_id", row.external_id)
        if row.account_name:
            yield from self._value(row, "account_name", row.account_name, AccountName)
        yield from self._repeat(row, "account_name", row.name)
        if row.icon_file not in self._icons:
            self._icons[row.icon_file] = _icon_rule(row.icon_file)
        if self._icons[row.icon_file]:
            yield Fault(row.line, "icon_file", self._icons[row.icon_file])

    def _value(self, row: Row, column: str, value: str, kind: Any) -> Iterator[Fault]:
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            for found in error.errors():
                yield Fault(row.line, column, found["msg"].removeprefix("Value error, "))

    def _repeat(self, row: Row, column: str, value: str) -> Iterator[Fault]:
        first = self._lines.setdefault((column, value), row.line)
        if first != row.line:
            yield Fault(row.line, column, f"repeats line {first}")


def _icon_rule(path: Path) -> str:
    """Return the rule that an icon file breaks, or an empty text."""
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:  # do not read it: it may be anything
            return f"must be at most {MAX_IMAGE_BYTES} bytes"
        image_upload(path.read_bytes())
    except InvalidInputError as error:
        return error.rule
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
