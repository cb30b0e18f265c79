"""JSON of request and response bodies."""

from __future__ import annotations

import json
from typing import Any


def read_json(text: str) -> Any:
    """Parse a request's body. Raises `json.JSONDecodeError`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python refuses to parse a number of thousands of digits: the caller's fault as well.
        raise json.JSONDecodeError("number too long", "", 0) from None


def write_json(document: Any) -> str:
    """Write a response's body, Chinese and emoji as they are.

    Lone surrogates are escaped, since UTF-8 cannot hold them: a caller may have sent one.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, separators=(",", ":"))
    return text
