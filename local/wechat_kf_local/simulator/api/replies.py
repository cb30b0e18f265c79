"""Answers as WeChat sends them: the JSON, the rid, and content types one cannot rely on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# "encoding" is what WeChat writes there; it is not a parameter of that media type.
JSON_TYPE: Final = "application/json; encoding=utf-8"
PLAIN_TYPE: Final = "text/plain"


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    body: bytes = field(repr=False)
    content_type: str = JSON_TYPE
    status: int = 200
    errcode: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND: Final = Reply(b"", status=404)
SERVER_ERROR: Final = Reply(b"", status=500)
HTML_PAGE: Final = Reply(
    b"<html><head><title>502 Bad Gateway</title></head><body></body></html>", "text/html"
)


def json_reply(document: Mapping[str, Any], content_type: str) -> Reply:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(body, content_type)


def refusal(errcode: int, text: str, rid: str, content_type: str) -> Reply:
    """HTTP 200, as for every answer that comes from the API itself."""
    document = {"errcode": errcode, "errmsg": f"{text} rid: {rid}"}
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(body, content_type, errcode=errcode)
