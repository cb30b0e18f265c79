"""Raw UTF-8, the only encoding WeChat takes (docs/wechat-api.md, section 2)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from wechat_kf.wechat.errors import InvalidInputError

_ESCAPED_BY_JSON = re.compile(r"[\x00-\x07\x0b\x0e-\x1f]")
"""The control characters that JSON can only write as an escape, which WeChat refuses (40033)."""


def encode_json(document: Mapping[str, Any]) -> bytes:
    """Encode as JSON in raw UTF-8.

    WeChat refuses `\\uXXXX` escapes (40033) or shows them to the customer as they are.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return encode_utf8("body", text)


def encode_utf8(field_name: str, text: str) -> bytes:
    """Encode `text`; raises `InvalidInputError` for what WeChat cannot be sent.

    That is: lone surrogates, and control characters other than tabs and line breaks.
    """
    if _ESCAPED_BY_JSON.search(text):
        raise InvalidInputError(field_name, "must hold no control characters but line breaks")
    try:
        return text.encode()
    except UnicodeEncodeError:
        failed = InvalidInputError(field_name, "must be valid Unicode, without lone surrogates")
    raise failed
