"""The resolver of every HTTP function: validation on, errors as problem documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api import problems
from wechat_kf.api.dependencies import Provided
from wechat_kf.api.gateway_path import to_own_path
from wechat_kf.api.json_bodies import read_json, write_json
from wechat_kf.app_errors import AppError, InvalidRequestError, UnexpectedError
from wechat_kf.observability import logger
from wechat_kf.wechat.errors import WeChatError

_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class JsonResolver(APIGatewayHttpResolver):
    """Finds the API's own path in the event, and refuses forms.

    Powertools would read the fields of a form as if they were JSON.
    """

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:  # type: ignore[override]
        try:
            prefix, own_event = to_own_path(event)
        except problems.NoSuchRouteError as error:
            return problems.as_event(problems.of_app_error(error))
        kind = event.get("headers", {}).get("content-type", "").strip().lower()
        if kind.startswith(_FORMS):
            return problems.as_event(_not_json())
        response: dict[str, Any] = super().resolve(own_event, context)
        if "Location" in response["headers"]:
            response["headers"]["Location"] = prefix + response["headers"]["Location"]
        return response


def _not_json() -> Response[str]:
    return problems.of_app_error(
        problems.UnsupportedMediaTypeError("the body must be application/json")
    )


def _answer_unexpected(error: Exception) -> Response[str]:
    # Not the message of other errors: it may hold what the caller sent.
    reason = error.detail if isinstance(error, UnexpectedError) else None
    logger.error("unexpected error", error_type=type(error).__name__, reason=reason, exc_info=error)
    return problems.of_app_error(
        UnexpectedError("An unexpected error occurred; it has been logged.")
    )


class RoutesModule(Protocol):
    """A module of routes."""

    router: APIGatewayHttpRouter


def _return(instance: Any) -> Callable[[], Any]:
    return lambda: instance


def create_app(
    *modules: RoutesModule, provided: Mapping[type, Any] | None = None
) -> APIGatewayHttpResolver:
    """Create a resolver of the routes of `modules` that answers errors with problem documents.

    `provided` holds what the routes need (`dependencies.needs`), by its type.
    """
    app = JsonResolver(
        enable_validation=True, serializer=write_json, json_body_deserializer=read_json
    )
    for module in modules:
        app.include_router(module.router)
    for kind, instance in (provided or {}).items():
        app.dependency_overrides[Provided(kind)] = _return(instance)

    @app.exception_handler(RequestValidationError)
    def invalid(error: RequestValidationError) -> Response[str]:
        return problems.of_validation(list(error.errors()))

    @app.exception_handler(RequestUnsupportedContentType)
    def not_json(_: RequestUnsupportedContentType) -> Response[str]:
        return _not_json()

    # Both come from reading a body: bytes that are not UTF-8, and JSON nested too deeply.
    @app.exception_handler([UnicodeDecodeError, RecursionError])
    def unreadable(_: Exception) -> Response[str]:
        return problems.of_app_error(InvalidRequestError("body", "is not readable JSON"))

    @app.exception_handler(AppError)
    def refused(error: AppError) -> Response[str]:
        if isinstance(error, UnexpectedError):
            return _answer_unexpected(error)
        logger.info("request refused", code=error.code)
        return problems.of_app_error(error)

    @app.exception_handler(WeChatError)
    def wechat_refused(error: WeChatError) -> Response[str]:
        logger.warning("wechat refused", code=error.code, rid=getattr(error, "rid", None))
        return problems.of_wechat_error(error)

    @app.exception_handler(Exception)
    def unexpected(error: Exception) -> Response[str]:
        return _answer_unexpected(error)

    @app.not_found
    def unmatched(_: Any) -> Response[str]:
        return problems.of_app_error(problems.NoSuchRouteError("no such route"))

    return app
