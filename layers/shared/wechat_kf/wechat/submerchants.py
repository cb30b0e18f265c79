"""A sub-merchant (客服子商户) as WeChat describes it (docs/wechat-api.md, section 3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_PAGE = 200
"""The largest page WeChat's list gives."""

_AVATAR_NAMES = ("icon_url", "icon_media_id")
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, as in a text that was cut in an emoji: no UTF-8 can hold it."""

_KNOWN = frozenset({"business_id", "account_name", "nickname", *_AVATAR_NAMES})


@dataclass(frozen=True, slots=True)
class SubMerchant:
    """One sub-merchant.

    `business_id` is text, whatever WeChat sends. `icon` is the avatar, a URL or a media id:
    the documents disagree, so treat it as an opaque string. `extra` keeps every field that is
    not known here. A field that WeChat left out, or wrote in no known form, is empty.
    """

    business_id: str
    account_name: str
    nickname: str
    icon: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_sub_merchant(document: Any) -> SubMerchant:
    """Read a sub-merchant. What is absent or not a text is empty: one odd entry spoils no list."""
    if not isinstance(document, dict):
        return SubMerchant("", "", "")
    icons = (_read_text(document, name) for name in _AVATAR_NAMES)
    return SubMerchant(
        business_id=_read_text(document, "business_id"),
        account_name=_read_text(document, "account_name"),
        nickname=_read_text(document, "nickname"),
        icon=next(filter(None, icons), None),
        extra={name: value for name, value in document.items() if name not in _KNOWN},
    )


def _read_text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return _SURROGATE.sub("\ufffd", str(value))
