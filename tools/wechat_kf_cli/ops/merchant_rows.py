"""The merchants of a CSV file, read and checked as a whole before anything is sent.

Columns: external_id, account_name, nickname, icon_file. One of the two names may be empty; the icon
file's path is relative to the CSV file. Empty rows are ignored.
"""

from __future__ import annotations

import base64
import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
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


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds: its rows, all its faults, and how its bytes were read."""

    rows: list[Row]
    faults: list[Fault]
    encoding: str = "UTF-8"


def read_rows(path: Path) -> Table:
    """Read a file as people save it: UTF-8 or GB18030, with commas, semicolons or tabs.

    Excel on a Chinese Windows writes GB18030 by default. Raises OSError.
    """
    content = path.read_bytes()
    if content.startswith(_WORKBOOKS):
        return Table([], [Fault(1, "file", f"is an Excel workbook: {_SAVE_AS}")])
    decoded = _decode(content)
    if decoded is None:
        return Table([], [Fault(1, "file", f"is not a text file that we can read: {_SAVE_AS}")])
    text, encoding = decoded
    header = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=header.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        if header.startswith("sep="):  # a hint for Excel alone
            next(lines)
        names = [name.strip().lower() for name in next(lines, [])]
        faults = list(_header_faults(names))
        if not faults:
            cells = [(lines.line_num, values) for values in lines if any(map(str.strip, values))]
            faults = list(_width_faults(cells, len(names)))
    except csv.Error as error:
        faults = [Fault(lines.line_num, "file", f"cannot be read as a table ({error})")]
    if faults:
        return Table([], faults, encoding)
    rows = [
        _row(line, dict(zip(names, values, strict=False)), path.parent) for line, values in cells
    ]
    checks = _Checks()
    return Table(rows, [fault for row in rows for fault in checks.of(row)], encoding)


_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of Excel itself begin, whatever their name ends with."""

_SAVE_AS = "in Excel choose Save As (另存为), type “CSV UTF-8 (逗号分隔)”"


def _decode(content: bytes) -> tuple[str, str] | None:
    """Return the text and the name of its encoding; None when it has none that we know."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["UTF-16"]
    else:
        encodings = ["UTF-8", "GB18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        return (text, encoding) if "\0" not in text else None
    return None


def _header_faults(names: Sequence[str]) -> Iterator[Fault]:
    for name in COLUMNS:
        if name not in names:
            yield Fault(1, name, "this column is missing")
    for name in names:
        if name and name not in COLUMNS:
            yield Fault(1, name, f"unknown column; the columns are {', '.join(COLUMNS)}")
        elif name and names.count(name) > 1:
            yield Fault(1, name, "this column is there more than once")


def _width_faults(cells: Sequence[tuple[int, list[str]]], width: int) -> Iterator[Fault]:
    for line, values in cells:
        if any(value.strip() for value in values[width:]):
            yield Fault(line, "row", "has more cells than there are columns: is a quote missing?")


def _row(line: int, values: dict[str, str], folder: Path) -> Row:
    text = {name: values.get(name, "").strip() for name in COLUMNS}
    return Row(
        line=line,
        external_id=text["external_id"],
        account_name=text["account_name"],
        nickname=text["nickname"],
        icon_file=folder / text["icon_file"].replace("\\", "/"),
    )


_SHORTENED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+")
"""A long number as Excel shows it, such as 1.23457E+17."""


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
        if _SHORTENED.fullmatch(row.external_id):
            rule = "Excel has shortened this number: format the column as text and enter it again"
            yield Fault(row.line, "external_id", rule)
        elif row.external_id:
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
