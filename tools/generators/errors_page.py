"""docs/errors.md: every error code with its meaning and advice, made from the OpenAPI document.

The Chinese page has the same codes, with the texts of docs/error-texts.zh-CN.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")

ERRORS = "x-errors"
"""Extension of the components: all codes, `own` ones and those of `wechat`."""

_HEAD = """\
# Errors

[中文](zh-CN/errors.md)

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


_HEAD_ZH = """\
# 错误码

[English](../errors.md)

<!-- Generated from the code: make docs -->

面向调用 HTTP API 的开发者：读完本页，您会知道每种拒绝的含义，以及重复请求是否有用。

错误以 `application/problem+json`（RFC 9457）返回。`code` 供程序使用，保持稳定；
`detail` 供人阅读；`advice` 说明怎样做是安全的。429 的 `Retry-After` 说明需要等待的秒数。
没有签名或 IAM 不允许的请求由 API Gateway 返回 403 和 `{"message": …}`。
每条路由可能返回的代码见[参考](http-api.md)。
供您自己的界面使用的中文数据：[error-texts.zh-CN.json](../error-texts.zh-CN.json)。

## 本项目的错误码

"""

_WECHATS_ZH = """\
## 微信的拒绝

由当场调用微信的路由返回，附有微信的 `errcode` 与 `rid`（如果有）。
消息的 `error` 也使用这些代码。这里只列出调用者或运维人员可以有所作为的；
其余见 [error-texts.zh-CN.json](../error-texts.zh-CN.json)。

"""

_COLUMNS = ("code", "status", "meaning", "what to do")
_COLUMNS_ZH = ("代码", "状态", "含义", "如何处理")


def page_of(api: Mapping[str, Any]) -> str:
    """Write the page in Markdown."""
    own, wechats = (api["components"][ERRORS][whose] for whose in ("own", "wechat"))
    return _page(own, wechats, (_HEAD, _WECHATS), _COLUMNS)


def chinese_page_of(api: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> str:
    """Write the Chinese page; `texts` has the meaning and the advice of each code."""
    own, wechats = (
        {
            code: {**error, **texts[code]}
            for code, error in api["components"][ERRORS][whose].items()
            if code in texts
        }
        for whose in ("own", "wechat")
    )
    return _page(own, wechats, (_HEAD_ZH, _WECHATS_ZH), _COLUMNS_ZH)


def _page(
    own: Mapping[str, Any],
    wechats: Mapping[str, Any],
    heads: tuple[str, str],
    columns: tuple[str, str, str, str],
) -> str:
    helpful = {code: error for code, error in wechats.items() if error.get("advice")}
    return "".join(
        [
            heads[0],
            *_table(
                columns,
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
            heads[1],
            *_table(
                (*columns[:2], "`errcode`", *columns[2:]),
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
