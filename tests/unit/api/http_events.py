"""API Gateway's events, payload format 2.0, and its context."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl


def http_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """`body` is sent as JSON; text is sent as it is."""
    text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
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


def document_of(answer: dict[str, Any]) -> Any:
    """The JSON body of an answer."""
    return json.loads(answer["body"])
