"""JSON documents as text that SQS and DynamoDB take, whatever a buyer typed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_REFUSED = re.compile("[\ud800-\udfff\ufffe\uffff]")
"""Not XML characters, so SQS refuses them; lone surrogates are not even valid UTF-8. JSON can hold
them escaped. Control characters need no mention: JSON always escapes them."""


def to_text(document: Mapping[str, Any]) -> str:
    """`document` as compact JSON, Chinese and emoji as they are."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    if _REFUSED.search(text):
        return json.dumps(document, separators=(",", ":"))
    return text


def from_text(text: str) -> Any:
    """The inverse of `to_text`. Raises `ValueError`."""
    return json.loads(text)
