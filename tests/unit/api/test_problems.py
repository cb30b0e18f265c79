"""Errors as problem documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wechat_kf.api import problems
from wechat_kf.api.problems import of_app_error, of_wechat_error
from wechat_kf.app_errors import AppError, ConflictError, InvalidRequestError, UnexpectedError
from wechat_kf.wechat.errors import InvalidInputError, WeChatError, api_error
from wechat_kf.wechat.operations import SEND


def document(error: AppError | WeChatError) -> dict[str, Any]:
    answer = of_app_error(error) if isinstance(error, AppError) else of_wechat_error(error)
    assert answer.content_type == "application/problem+json"
    found: dict[str, Any] = json.loads(answer.body or "")
    assert found["status"] == answer.status_code
    return found


def test_a_rule_of_wechats_names_its_field() -> None:
    found = document(InvalidInputError("media_id", "must not be empty"))
    assert found["status"] == 400
    assert (found["field"], found["detail"]) == ("media_id", "media_id: must not be empty")


def test_a_refusal_of_wechats_has_its_number_and_the_request_id() -> None:
    found = document(api_error(45015, "out of time rid: 6a-1b-2c", SEND))
    assert (found["code"], found["errcode"], found["rid"]) == ("window_closed", 45015, "6a-1b-2c")


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (problems.NoSuchRouteError("no"), 404, "Not Found"),
        (problems.MethodNotAllowedError("no"), 405, "Method Not Allowed"),
        (problems.UnsupportedMediaTypeError("no"), 415, "Unsupported Media Type"),
        (UnexpectedError("no"), 500, "Internal Server Error"),
        (InvalidRequestError("limit", "is too large"), 400, "Bad Request"),
    ],
)
def test_our_own_errors_have_their_status_in_words(
    error: AppError, status: int, title: str
) -> None:
    found = document(error)
    assert (found["status"], found["title"], found["type"]) == (status, title, "about:blank")


def test_members_of_an_error_stand_in_its_document() -> None:
    found = document(ConflictError("taken", field="external_id", business_id="42"))
    assert (found["field"], found["business_id"]) == ("external_id", "42")
