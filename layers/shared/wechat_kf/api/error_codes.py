"""Every code that a problem document can carry, collected from the errors, for the documents.

Ours come from the subclasses of `AppError`, WeChat's from the table of its numbers and from the
client's own errors. A subclass is found once its module is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from wechat_kf.app_errors import AppError
from wechat_kf.wechat.codes import ERRCODES, ErrorCode, describe
from wechat_kf.wechat.errors import InvalidInputError, MalformedReplyError, TransportError, WasSent
from wechat_kf.wechat.operations import GET

_NO_ANSWER: Final[Mapping[WasSent, str]] = {
    "never": "no connection to WeChat; nothing was sent",
    "perhaps": "no answer from WeChat; the call may have been carried out",
}


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """A code, its HTTP status, and the numbers WeChat gives it (sometimes several)."""

    code: str
    status: int
    meaning: str
    errcodes: tuple[int, ...] = ()


def own_codes() -> list[CodeEntry]:
    """Return our own refusals, in the order of their codes."""
    return _sort(
        CodeEntry(error.code, error.status, _meaning(error)) for error in _subclasses(AppError)
    )


def wechat_codes() -> list[CodeEntry]:
    """Return WeChat's refusals and the failures of calls to it, in the order of their codes."""
    return _sort([*_refusals(), *_no_answers()])


@cache  # read by every route that asks WeChat, at each cold start
def wechat_statuses() -> list[int]:
    """Return the HTTP statuses of `wechat_codes`."""
    return sorted({entry.status for entry in wechat_codes()})


def _refusals() -> Iterator[CodeEntry]:
    by_name: dict[str, list[ErrorCode]] = {}
    for row in ERRCODES.values():
        if row.status >= 400:  # typing that is already shown is no error to a caller
            by_name.setdefault(row.name, []).append(row)
    for name, rows in by_name.items():
        numbers = tuple(row.errcode for row in rows)
        yield CodeEntry(name, rows[0].status, rows[0].meaning, numbers)
    other = describe(max(ERRCODES) + 1, takes_token=True, repeatable=True)
    yield CodeEntry(other.name, other.status, other.meaning)


def _no_answers() -> Iterator[CodeEntry]:
    for sent, meaning in _NO_ANSWER.items():
        error = TransportError(GET, sent=sent, reason="")
        yield CodeEntry(error.code, error.status, meaning)
    for kind in (MalformedReplyError, InvalidInputError):
        yield CodeEntry(kind.code, kind.status, _meaning(kind))


def _subclasses(parent: type[AppError]) -> Iterator[type[AppError]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


def _meaning(error: type[Exception]) -> str:
    """Return the first paragraph of its docstring, as a cell of a table."""
    text = (inspect.getdoc(error) or "").partition("\n\n")[0].replace("\n", " ")
    return text.rstrip(".")


def _sort(entries: Iterable[CodeEntry]) -> list[CodeEntry]:
    return sorted(entries, key=lambda entry: entry.code)
