"""Fallback for unmatched requests: 404 for an unknown path, 405 for a method it does not take.

API Gateway would answer both with its own words; its `$default` route sends them here instead. The
table of routes is generated from the code of all functions (`make docs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wechat_kf.api.problems import (
    MethodNotAllowedError,
    NoSuchRouteError,
    as_event,
    of_app_error,
)
from wechat_kf.api.route_table import ROUTES
from wechat_kf.errors import AppError


def answer_unmatched(event: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request that API Gateway found no route for: never by one of the routes.

    `event` is API Gateway's, payload format 2.0. A caller confined to one merchant's paths must not
    reach a route by a path that the gateway reads otherwise, such as one with a slash at its end.
    """
    request = event["requestContext"]["http"]
    methods = methods_of(event["rawPath"])
    if methods is None or request["method"] in methods:
        return _answer(NoSuchRouteError("this API has no such path"), {})
    allowed = ", ".join(methods)
    refusal = MethodNotAllowedError(f"this path takes {allowed} only")
    return _answer(refusal, {"Allow": allowed})


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
