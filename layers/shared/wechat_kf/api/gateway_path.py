"""Tells the API's own path from the path that API Gateway was called with.

Behind a custom domain with an API mapping, `rawPath` begins with the mapping's key, and in a named
stage with its name. The path is therefore put together from the route that the gateway chose
and the parameters it found, which is also what IAM has authorized: no part of a parameter can be
taken for another merchant's path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wechat_kf.api.problems import NoSuchRouteError

DEFAULT = "$default"
"""API Gateway's name of the default route, and of the default stage."""

_NEVER_IN_A_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PARAMETER = re.compile(r"\{(\w+)\}")


def to_own_path(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what precedes the API's own path, and the event with that path alone.

    `event` is API Gateway's, payload format 2.0.

    Raises:
        NoSuchRouteError: the path has a control character, or a parameter a slash.
    """
    raw = str(event["rawPath"])
    path = _path_of_route(event) or raw.removeprefix(f"/{event['requestContext']['stage']}")
    if _NEVER_IN_A_PATH.search(raw) or _NEVER_IN_A_PATH.search(path):
        raise NoSuchRouteError("a path must not have control characters")
    prefix = raw.removesuffix(path) if raw.endswith(path) else ""
    own_context = {**event["requestContext"], "stage": DEFAULT}
    return prefix, {**event, "rawPath": path, "requestContext": own_context}


def _path_of_route(event: Mapping[str, Any]) -> str:
    """Put the parameters into the route's path; empty for `$default`."""
    _, _, template = event["routeKey"].partition(" ")
    parameters: Mapping[str, str] = event.get("pathParameters") or {}
    if any("/" in value for value in parameters.values()):
        raise NoSuchRouteError("a parameter in a path must not have a slash")
    return _PARAMETER.sub(lambda name: parameters.get(name[1], ""), template)
