"""A sub-merchant (客服子商户) as WeChat describes it (docs/wechat-api.md, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.wechat import replies
from wechat_kf.wechat.operations import Operation

MAX_PAGE = 200
"""The largest page WeChat's list gives."""

_AVATAR_NAMES = ("icon_url", "icon_media_id")
_KNOWN = frozenset({"business_id", "account_name", "nickname", *_AVATAR_NAMES})


@dataclass(frozen=True, slots=True)
class SubMerchant:
    """One sub-merchant.

    `business_id` is text, whatever WeChat sends. `icon` is the avatar, a URL or a media id:
    the documents disagree, so treat it as an opaque string. `extra` keeps every field that is
    not known here.
    """

    business_id: str
    account_name: str
    nickname: str
    icon: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def read_sub_merchant(document: Mapping[str, Any], operation: Operation) -> SubMerchant:
    """Read a sub-merchant; raises `MalformedReplyError` without `business_id` or names."""
    icons = (document.get(name) for name in _AVATAR_NAMES)
    return SubMerchant(
        business_id=replies.require_text(document, "business_id", operation),
        account_name=replies.require_text(document, "account_name", operation),
        nickname=replies.require_text(document, "nickname", operation),
        icon=next((str(icon) for icon in icons if icon), None),
        extra={name: value for name, value in document.items() if name not in _KNOWN},
    )
