"""API Gateway's events, payload format 2.0, and its context."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl


def http_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
    route: str = "",
    prefix: str = "",
) -> dict[str, Any]:
    """`body` is sent as JSON; text is sent as it is.

    With `route` (a path with its parameters in braces) the event names the route that API Gateway
    chose, else the default one; `prefix` is the key of an API mapping.
    """
    text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return {
        "version": "2.0",
        "routeKey": f"{method} {route}" if route else "$default",
        "rawPath": f"{prefix}{path}",
        "pathParameters": parameters_of(route, path),
        "rawQueryString": query,
        "queryStringParameters": dict(parse_qsl(query, keep_blank_values=True)),
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "requestId": "request",
            "stage": "$default",
        },
        "body": text,
        "isBase64Encoded": False,
    }


def parameters_of(route: str, path: str) -> dict[str, str]:
    """The parameters that API Gateway finds in a path of a route."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route)
    found = re.fullmatch(pattern, path, re.DOTALL) if route else None
    return found.groupdict() if found else {}


def document_of(answer: dict[str, Any]) -> Any:
    """The JSON body of an answer."""
    return json.loads(answer["body"])
