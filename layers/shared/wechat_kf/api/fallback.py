"""Fallback for unmatched requests: 404 for an unknown path, 405 for a method it does not take.

API Gateway would answer both with its own words; its `$default` route sends them here instead. The
table of routes is generated from the code of all functions (`make docs`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wechat_kf.api.gateway_path import DEFAULT, to_own_path
from wechat_kf.api.problems import (
    MethodNotAllowedError,
    NoSuchRouteError,
    as_event,
    of_app_error,
)
from wechat_kf.api.route_table import ROUTES
from wechat_kf.app_errors import AppError


def answer_unmatched(event: dict[str, Any]) -> dict[str, Any] | None:
    """Answer a request that matches no route, or return None for one that does.

    `event` is API Gateway's, payload format 2.0. What came by the default route is never answered
    by one of the routes: a caller confined to one merchant's paths must not reach a route by a path
    that the gateway reads otherwise, such as one with a slash at its end. The gateway in turn takes
    `GET /merchants/sync` for a merchant of that name.
    """
    try:
        _, own_event = to_own_path(event)
    except NoSuchRouteError as error:
        return _answer(error, {})
    method, methods = event["requestContext"]["http"]["method"], methods_of(own_event["rawPath"])
    if methods and method not in methods:
        allowed = ", ".join(methods)
        refusal = MethodNotAllowedError(f"this path takes {allowed} only")
        return _answer(refusal, {"Allow": allowed})
    if methods is None or event["routeKey"] == DEFAULT:
        return _answer(NoSuchRouteError("this API has no such path"), {})
    return None


def methods_of(path: str) -> Sequence[str] | None:
    """Return the methods that a path takes; None when there is no such path."""
    if path in ROUTES:
        return ROUTES[path]
    return next((methods for pattern, methods in _PATTERNS if pattern.fullmatch(path)), None)


def _pattern(path: str) -> re.Pattern[str]:
    fixed = re.split(r"\{\w+\}", path)
    return re.compile("[^/]+".join(re.escape(part) for part in fixed))


_PATTERNS = [(_pattern(path), methods) for path, methods in ROUTES.items() if "{" in path]


def _answer(error: AppError, headers: dict[str, str]) -> dict[str, Any]:
    answer = of_app_error(error)
    answer.headers.update(headers)
    return as_event(answer)
