"""Errors as RFC 9457 problem documents: the one place that decides how a caller sees them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import Response

from wechat_kf.api.field_names import field_name
from wechat_kf.api.json_bodies import write_json
from wechat_kf.api.retry_hints import HINTS, retry_after_seconds
from wechat_kf.app_errors import (
    AppError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    UnexpectedError,
)
from wechat_kf.domain.clock import now_ms
from wechat_kf.wechat.errors import InvalidInputError, WeChatApiError, WeChatError

PROBLEM_JSON = "application/problem+json"


class NoSuchRouteError(NotFoundError):
    """This API has no such path."""

    code = "no_such_route"


class MethodNotAllowedError(AppError):
    """The path does not take this method; the header `Allow` names those it takes."""

    code = "method_not_allowed"
    status = 405


class UnsupportedMediaTypeError(AppError):
    """The body is not of a type that the route takes."""

    code = "unsupported_media_type"
    status = 415


ON_ANY_ROUTE: tuple[type[AppError], ...] = (
    NoSuchRouteError,
    MethodNotAllowedError,
    UnsupportedMediaTypeError,
    UnexpectedError,
    UnavailableError,
)
"""Errors that any route may return; the others are named by the routes that return them."""


def problem(status: int, code: str, detail: str, **members: Any) -> Response[str]:
    """Build a problem response; `members` with the value None are left out."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **({"advice": HINTS[code]} if code in HINTS else {}),
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(
        status_code=status,
        content_type=PROBLEM_JSON,
        body=write_json(document),
        headers=(
            {"Retry-After": str(retry_after_seconds(code, now_ms()))}
            if status == HTTPStatus.TOO_MANY_REQUESTS
            else {}
        ),
    )


def as_event(answer: Response[str]) -> dict[str, Any]:
    """Convert to API Gateway's own form, for what is answered before a route is found."""
    return {
        "statusCode": answer.status_code,
        "headers": {"Content-Type": answer.content_type, **answer.headers},
        "body": answer.body,
    }


def of_app_error(error: AppError) -> Response[str]:
    """Answer one of our own errors."""
    return problem(error.status, error.code, error.detail, **error.members)


def of_wechat_error(error: WeChatError) -> Response[str]:
    """Answer WeChat's refusals and failed calls, with the errcode and rid for WeChat's support."""
    if isinstance(error, InvalidInputError):
        return problem(error.status, error.code, f"{error.field}: {error.rule}", field=error.field)
    if isinstance(error, WeChatApiError):
        return problem(
            error.status, error.code, error.meaning, errcode=error.errcode, rid=error.rid
        )
    return problem(error.status, error.code, str(error))


def of_validation(errors: list[dict[str, Any]]) -> Response[str]:
    """Answer all of pydantic's findings, each with its field and its rule."""
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
    where, *path = error.get("loc", ()) or ["body"]
    if error.get("type") == "json_invalid":  # what follows is a position in the text
        return str(where)
    return field_name(error, path) or str(where)


def _rule(error: dict[str, Any]) -> str:
    message = str(error.get("msg", "is not valid"))
    return message.removeprefix("Value error, ")
