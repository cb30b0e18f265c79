"""Describes the responses of a route in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field

from wechat_kf.api.error_codes import wechat_statuses
from wechat_kf.api.problems import PROBLEM_JSON
from wechat_kf.app_errors import AppError

ERROR_CODES = "x-error-codes"
"""Extension of a response: our own codes that come with this status."""

FROM_WECHAT = "x-wechat-errors"
"""Extension of a response: whether WeChat's refusals come with this status too."""

BYTES = {"schema": {"type": "string", "format": "binary"}}

Model = TypeVar("Model", bound=BaseModel)

_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}


class FieldFault(BaseModel):
    """A field whose value breaks a rule."""

    field: str
    rule: str


class Problem(BaseModel):
    """RFC 9457 problem document. `code` is stable; the texts are for people and may change.

    What API Gateway refuses by itself has a `message` only.
    """

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Conflict",
                    "status": 409,
                    "code": "sub_merchant_limit",
                    "detail": "the limit of sub-merchants is reached",
                    "errcode": 45077,
                    "rid": "6114dedc-7e90330d-3fb31e22",
                }
            ]
        },
    )

    type: str = Field(description="always `about:blank`")
    title: str = Field(description="the status in words")
    status: int = Field(description="the HTTP status")
    code: str = Field(description="what happened, for programs")
    detail: str = Field(description="what happened, for people")
    advice: str | None = Field(None, description="what to do about it")
    errcode: int | None = Field(None, description="WeChat's own number")
    rid: str | None = Field(None, description="WeChat's request id, for its support")
    field: str | None = Field(None, description="the field at fault")
    business_id: str | None = Field(None, description="the merchant it conflicts with")
    subscription_id: str | None = Field(None, description="the subscription it conflicts with")
    message_status: str | None = Field(
        None, description="the status for which a message cannot be sent again"
    )
    errors: list[FieldFault] | None = Field(None, description="every field at fault")


def answer(status: int, body: Model, location: str | None = None) -> Response[Model]:
    """Return a response with JSON, and with a `Location` if there is one."""
    headers = {"Location": location} if location else {}
    return Response(status, "application/json", body, headers)


def describe_responses(
    successes: Mapping[int, tuple[str, type[BaseModel] | str | None]],
    *,
    problems: tuple[type[AppError], ...] = (),
    asks_wechat: bool = False,
) -> dict[int, Any]:
    """Describe the responses of a route: its successes and the problems it may return.

    Args:
        successes: status → (description, body); a body is a model (JSON), the content type of
            bytes such as `image/*`, or None.
        problems: the errors of this route; those of any route (`problems.ON_ANY_ROUTE`) are left
            out.
        asks_wechat: whether WeChat is called while the caller waits: its refusals are passed on.
    """
    documented: dict[int, Any] = {
        status: {
            "description": description,
            **({"content": _content(body)} if body else {}),
        }
        for status, (description, body) in successes.items()
    }
    from_wechat = wechat_statuses() if asks_wechat else []
    for status in sorted({error.status for error in problems} | {*from_wechat}):
        codes = [error.code for error in problems if error.status == status]
        documented[status] = _describe_refusal(status, codes, from_wechat=status in from_wechat)
    return documented


def codes_in_words(codes: Iterable[str]) -> str:
    """List codes for a description."""
    return ", ".join(f"`{code}`" for code in codes)


def _describe_refusal(status: int, codes: list[str], *, from_wechat: bool) -> dict[str, Any]:
    """Describe a problem document, with its codes for people and for programs."""
    parts = [codes_in_words(codes), "a refusal by WeChat" if from_wechat else ""]
    return {
        "description": " or ".join(part for part in parts if part),
        "content": {PROBLEM_JSON: {"model": Problem}},
        **({"headers": _RETRY_AFTER} if status == HTTPStatus.TOO_MANY_REQUESTS else {}),
        ERROR_CODES: codes,
        FROM_WECHAT: from_wechat,
    }


def _content(body: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(body, str):
        # The first one is for generators of clients, which know no `image/*`.
        return {"application/octet-stream": BYTES, body: BYTES}
    return {"application/json": {"model": body}}
