"""The resolver every HTTP function starts from: validation on, errors as problem documents."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)

from wechat_kf.api import problems
from wechat_kf.errors import AppError, InvalidRequestError
from wechat_kf.observability import logger
from wechat_kf.wechat.errors import WeChatError

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class JsonResolver(APIGatewayHttpResolver):
    """Takes no forms: Powertools would read their fields as if they were JSON."""

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:  # type: ignore[override]
        kind = event.get("headers", {}).get("content-type", "").strip().lower()
        if kind.startswith(_FORMS):
            return problems.as_event(_not_json())
        return super().resolve(event, context)


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # A number of thousands of digits, which Python does not read: no fault of ours either.
        raise json.JSONDecodeError("number too long", "", 0) from None


def _not_json() -> Response[str]:
    return problems.of_app_error(
        problems.UnsupportedMediaTypeError("the body must be application/json")
    )


def create_app() -> APIGatewayHttpResolver:
    """A resolver whose every answer that is not a success is a problem document."""
    app = JsonResolver(enable_validation=True, json_body_deserializer=_read_json)

    @app.exception_handler(RequestValidationError)
    def invalid(error: RequestValidationError) -> Response[str]:
        return problems.of_validation(list(error.errors()))

    @app.exception_handler(RequestUnsupportedContentType)
    def not_json(_: RequestUnsupportedContentType) -> Response[str]:
        return _not_json()

    # Both come from reading a body: what is no UTF-8, and JSON nested beyond all measure.
    @app.exception_handler([UnicodeDecodeError, RecursionError])
    def unreadable(_: Exception) -> Response[str]:
        return problems.of_app_error(InvalidRequestError("body", "is not readable JSON"))

    @app.exception_handler(AppError)
    def refused(error: AppError) -> Response[str]:
        logger.info("request refused", code=error.code)
        return problems.of_app_error(error)

    @app.exception_handler(WeChatError)
    def wechat_refused(error: WeChatError) -> Response[str]:
        logger.warning("wechat refused", code=error.code, rid=getattr(error, "rid", None))
        return problems.of_wechat_error(error)

    @app.exception_handler(Exception)
    def unforeseen(error: Exception) -> Response[str]:
        # Not the message: it may hold what the caller sent.
        logger.error("unforeseen fault", error_type=type(error).__name__, exc_info=error)
        return problems.of_app_error(
            problems.UnforeseenError("an unforeseen fault; it has been logged")
        )

    @app.not_found
    def unrouted(_: Any) -> Response[str]:
        return problems.of_app_error(problems.NoSuchRouteError("no such route"))

    return app
