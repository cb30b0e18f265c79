"""What a route says about its answers in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from wechat_kf.http.problems import PROBLEM_JSON


class FieldFault(BaseModel):
    """One value that breaks a rule."""

    field: str
    rule: str


class Problem(BaseModel):
    """RFC 9457 problem document. `code` is stable; the texts are for people and may change."""

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

    type: str
    title: str
    status: int
    code: str = Field(description="what happened, for programs")
    detail: str = Field(description="what happened, for people")
    advice: str | None = Field(None, description="what to do about it")
    errcode: int | None = Field(None, description="WeChat's own number")
    rid: str | None = Field(None, description="what WeChat's support asks for")
    field: str | None = Field(None, description="the value at fault")
    business_id: str | None = Field(None, description="the merchant that is in the way")
    errors: list[FieldFault] | None = Field(None, description="every value at fault")


def answers(
    successes: Mapping[int, tuple[str, type[BaseModel] | str | None]],
    *,
    problems: tuple[int, ...] = (),
) -> dict[int, Any]:
    """The `responses` of a route: status → (description, body), and the problems to expect.

    A body is a model (JSON), or the content type of bytes such as `image/*`, or None. Every route
    may answer 500 and 503 too; the generator adds those.
    """
    documented: dict[int, Any] = {
        status: {
            "description": description,
            **({"content": _content(body)} if body else {}),
        }
        for status, (description, body) in successes.items()
    }
    for status in problems:
        documented[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"model": Problem}},
        }
    return documented


def _content(body: type[BaseModel] | str) -> dict[str, Any]:
    if isinstance(body, str):
        return {body: {"schema": {"type": "string", "format": "binary"}}}
    return {"application/json": {"model": body}}
