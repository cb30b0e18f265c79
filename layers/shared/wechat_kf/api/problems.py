"""Errors as RFC 9457 problem documents: one place decides how each looks to a caller."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from wechat_kf.api.retry_hints import ADVICE
from wechat_kf.errors import AppError, InvalidRequestError, NotFoundError, UnavailableError
from wechat_kf.wechat.errors import InvalidInputError, WeChatApiError, WeChatError

PROBLEM_JSON = "application/problem+json"


class UnforeseenError(AppError):
    """A fault of ours that nobody foresaw; it has been logged."""

    code = "internal_error"


class NoSuchRouteError(NotFoundError):
    """There is no such path in this API."""

    code = "no_such_route"


class MethodNotAllowedError(AppError):
    """The path takes other methods only; the header `Allow` names them."""

    code = "method_not_allowed"
    status = 405


class UnsupportedMediaTypeError(AppError):
    """The body is of another type than the route takes."""

    code = "unsupported_media_type"
    status = 415


ON_ANY_ROUTE: tuple[type[AppError], ...] = (
    NoSuchRouteError,
    MethodNotAllowedError,
    UnsupportedMediaTypeError,
    UnforeseenError,
    UnavailableError,
)
"""What any request may meet; the other errors are named by the routes that answer them."""


def problem(status: int, code: str, detail: str, **members: Any) -> Response[str]:
    """A problem response; `members` with the value None are left out."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **({"advice": ADVICE[code]} if code in ADVICE else {}),
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(
        status_code=status,
        content_type=PROBLEM_JSON,
        body=json.dumps(document, ensure_ascii=False),
        headers={"Retry-After": "60"} if status == HTTPStatus.TOO_MANY_REQUESTS else {},
    )


def as_event(answer: Response[str]) -> dict[str, Any]:
    """A response in API Gateway's own form, for what is answered before any route is found."""
    return {
        "statusCode": answer.status_code,
        "headers": {"Content-Type": answer.content_type, **answer.headers},
        "body": answer.body,
    }


def of_app_error(error: AppError) -> Response[str]:
    """Our own refusals."""
    return problem(error.status, error.code, error.detail, **error.members)


def of_wechat_error(error: WeChatError) -> Response[str]:
    """WeChat's refusals and the transport's failures, with the errcode and rid support asks for."""
    if isinstance(error, InvalidInputError):
        return problem(error.status, error.code, f"{error.field}: {error.rule}", field=error.field)
    if isinstance(error, WeChatApiError):
        return problem(
            error.status, error.code, error.meaning, errcode=error.errcode, rid=error.rid
        )
    return problem(error.status, error.code, str(error))


def of_validation(errors: list[dict[str, Any]]) -> Response[str]:
    """Pydantic's findings: all of them, each naming the field and the rule."""
    found = [{"field": _field(error), "rule": _rule(error)} for error in errors]
    first = found[0]
    return problem(
        InvalidRequestError.status,
        InvalidRequestError.code,
        f"{first['field']}: {first['rule']}",
        field=first["field"],
        errors=found,
    )


def _field(error: dict[str, Any]) -> str:
    # The first part says where the value stood (body, query, path); callers know fields by name.
    where, *path = [str(part) for part in error.get("loc", ())] or ["body"]
    if error.get("type") == "json_invalid":  # what follows is a position in the text
        return where
    return ".".join(path) if path else where


def _rule(error: dict[str, Any]) -> str:
    message = str(error.get("msg", "is not valid"))
    return message.removeprefix("Value error, ")
