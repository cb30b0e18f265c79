"""JSON documents as text that SQS and DynamoDB take, whatever a buyer typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Made once: `json.dumps` makes a new encoder at every call with options.
_READABLE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ESCAPED = json.JSONEncoder(separators=(",", ":"))


def to_text(document: Mapping[str, Any]) -> str:
    """`document` as compact JSON, Chinese and emoji as they are."""
    text = _READABLE.encode(document)
    return text if _is_taken(text) else _ESCAPED.encode(document)


def _is_taken(text: str) -> bool:
    """Not with lone surrogates, which are not even valid UTF-8, nor with U+FFFE and U+FFFF, which
    are no XML characters, so that SQS refuses them. JSON can hold all of them escaped. Control
    characters need no mention: JSON always escapes them.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\ufffe" not in text and "\uffff" not in text


def from_text(text: str) -> Any:
    """The inverse of `to_text`. Raises `ValueError`."""
    return json.loads(text)
