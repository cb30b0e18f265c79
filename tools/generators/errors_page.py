"""docs/errors.md: every error code with its meaning and advice, made from the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")

ERRORS = "x-errors"
"""Extension of the components: all codes, `own` ones and those of `wechat`."""

_HEAD = """\
# Errors

<!-- Generated from the code: make docs -->

For developers who call the HTTP API: after this page you know what each refusal means and whether
repeating the request helps.

An error is `application/problem+json` (RFC 9457). Its `code` is for programs and stable;
`detail` is for people; `advice` says what is safe to do. A 429 says in `Retry-After` how many
seconds to wait. A request that is not signed, or that IAM does not permit, is answered by API
Gateway: 403 and `{"message": …}`. Each route names its codes in [the reference](http-api.md).
The meanings in Chinese, as data for your screens: [error-texts.zh-CN.json](error-texts.zh-CN.json).

## Ours

"""

_WECHATS = """\
## WeChat's refusals

Returned by the routes that call WeChat while you wait, with its `errcode` and `rid` where there are
any. The `error` of a message has these codes too. These are the ones about which a caller or an
operator can do something; all others are in [error-texts.zh-CN.json](error-texts.zh-CN.json).

"""


def page_of(api: Mapping[str, Any]) -> str:
    """Write the page in Markdown."""
    own, wechats = (api["components"][ERRORS][whose] for whose in ("own", "wechat"))
    helpful = {code: error for code, error in wechats.items() if error.get("advice")}
    return "".join(
        [
            _HEAD,
            *_table(
                ("code", "status", "meaning", "what to do"),
                (
                    (
                        f'<a id="error-{code}"></a>`{code}`',
                        str(error["status"]),
                        error["meaning"],
                        error.get("advice", ""),
                    )
                    for code, error in own.items()
                ),
            ),
            "\n",
            _WECHATS,
            *_table(
                ("code", "status", "`errcode`", "meaning", "what to do"),
                (
                    (
                        f"`{code}`",
                        str(error["status"]),
                        _numbers(error.get("errcodes", [])),
                        error["meaning"],
                        error["advice"],
                    )
                    for code, error in helpful.items()
                ),
            ),
        ]
    )


def operations(api: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operations of a document: path, method in capitals, operation."""
    for path, item in api["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method.upper(), item[method]


def _numbers(errcodes: Sequence[int]) -> str:
    ends = dict.fromkeys([*errcodes[:1], *errcodes[-1:]])
    return " to ".join(map(str, ends))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(columns)
    yield "|" + "---|" * len(columns) + "\n"
    for row in rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |\n"
