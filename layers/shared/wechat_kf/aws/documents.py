"""JSON documents as text that SQS and DynamoDB take, whatever a buyer typed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_REFUSED = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Not XML characters, so SQS refuses them; lone surrogates are not even valid UTF-8. JSON can hold
them escaped. Control characters need no mention: JSON always escapes them."""

# Made once: `json.dumps` makes a new encoder at every call with options.
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ESCAPED = json.JSONEncoder(separators=(",", ":"))


def to_text(document: Mapping[str, Any]) -> str:
    """`document` as compact JSON, Chinese and emoji as they are."""
    text = _READABLE.encode(document)
    return _ESCAPED.encode(document) if _REFUSED.search(text) else text


def from_text(text: str) -> Any:
    """The inverse of `to_text`. Raises `ValueError`."""
    return json.loads(text)
