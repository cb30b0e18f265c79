"""From bytes to a checked JSON object (docs/wechat-api.md, section 2).

HTTP and `errcode` are two layers: a status other than 200 means that no API has answered; an
`errcode` other than 0 is an answer, and it comes with HTTP 200.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wechat_kf.wechat.errors import MalformedReplyError, api_error
from wechat_kf.wechat.operations import Operation
from wechat_kf.wechat.transport import HttpReply


def require_success(reply: HttpReply, operation: Operation) -> dict[str, Any]:
    """Return the JSON object of a reply that reports success: `errcode` absent or 0.

    Raises `WeChatApiError` for any other `errcode` and `MalformedReplyError` for anything
    that is not a JSON object inside HTTP 200.
    """
    require_ok_status(reply, operation)
    document = read_object(reply.body)
    if document is None:
        raise MalformedReplyError(operation, "no JSON object", http_status=reply.status)
    raise_for_errcode(document, operation)
    return document


def require_ok_status(reply: HttpReply, operation: Operation) -> None:
    if reply.status != 200:
        raise MalformedReplyError(operation, "not WeChat's", http_status=reply.status)


def read_object(body: bytes) -> dict[str, Any] | None:
    """Parse a body whatever its content type says; `None` if it is no JSON object.

    Lenient about what surrounds the fields, because a mangled `errmsg` or nickname must spoil
    nothing else: a byte order mark, bytes that are not UTF-8, raw control characters in texts.
    """
    try:
        document = json.loads(body.decode("utf-8-sig", errors="replace"), strict=False)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def raise_for_errcode(document: Mapping[str, Any], operation: Operation) -> None:
    """Raise what the `errcode` says, if it says so clearly, and else `MalformedReplyError`.

    A refusal is clear in any notation. A success is only clear as WeChat writes it: a proxy that
    answers `{}`, or a false `errcode`, has not delivered anything.
    """
    given = document.get("errcode", None if operation.confirmed else 0)
    try:
        errcode = int(given)
    except (TypeError, ValueError, OverflowError):
        raise malformed(operation, "errcode") from None
    if isinstance(given, bool) or (isinstance(given, float) and given != errcode):
        raise malformed(operation, "errcode")
    if errcode != 0:
        raise api_error(errcode, str(document.get("errmsg", "")), operation)
    if operation.confirmed and not isinstance(given, int):
        raise malformed(operation, "errcode")


def require_text(document: Mapping[str, Any], name: str, operation: Operation) -> str:
    """Return a required field as text; WeChat sends ids as numbers and the docs say strings."""
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise malformed(operation, name)
    return str(value)


def require_integer(document: Mapping[str, Any], name: str, operation: Operation) -> int:
    """Return a required field as a number; older replies send some of them as text."""
    try:
        return int(document[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise malformed(operation, name) from None


def require_object(document: Mapping[str, Any], name: str, operation: Operation) -> dict[str, Any]:
    """Return a required field that is an object."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise malformed(operation, name)
    return value


def read_objects(
    document: Mapping[str, Any], name: str, operation: Operation
) -> list[dict[str, Any]]:
    """Return an array of objects; absent and `null` are the empty array."""
    value = read_list(document, name, operation)
    if not all(isinstance(item, dict) for item in value):
        raise malformed(operation, name)
    return value


def read_list(document: Mapping[str, Any], name: str, operation: Operation) -> list[Any]:
    """Return an array of anything; absent and `null` are the empty array."""
    value = document.get(name) or []
    if not isinstance(value, list):
        raise malformed(operation, name)
    return value


def malformed(operation: Operation, field_name: str) -> MalformedReplyError:
    return MalformedReplyError(operation, f"{field_name} missing or unreadable", http_status=200)
