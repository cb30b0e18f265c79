"""The contact button of a merchant in the Mini Program, and the merchant it names on entering.

WeChat may leave the business id out of `user_enter_tempsession`, so the button carries it a second
time in `session-from`. That text comes from the buyer's device: it is a hint, never proof
(docs/wechat-api.md, sections 7.4 and 13).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from wechat_kf.domain.events import MAIN_ACCOUNT
from wechat_kf.domain.merchants.merchant import Merchant, MerchantInactiveError, MerchantStatus

_SESSION_FROM = re.compile(r"wechat-kf:([1-9][0-9]{0,19})")


@dataclass(frozen=True, slots=True)
class ContactButton:
    """The attributes of a `<button>`, in WXML's spelling."""

    attributes: dict[str, str]

    @property
    def wxml(self) -> str:
        """Return the button as WXML, ready to paste."""
        written = " ".join(f'{name}="{escape(value)}"' for name, value in self.attributes.items())
        return f"<button {written}>联系客服</button>"


def contact_button(merchant: Merchant) -> ContactButton:
    """Return the button that opens a conversation with this merchant.

    Raises:
        MerchantInactiveError: the merchant is deactivated; no new conversations should start.
    """
    if merchant.status is not MerchantStatus.ACTIVE:
        raise MerchantInactiveError("the merchant is deactivated", business_id=merchant.business_id)
    return ContactButton(
        {
            "open-type": "contact",
            "business-id": merchant.business_id,
            "session-from": session_from(merchant.business_id),
        }
    )


def session_from(business_id: str) -> str:
    """Return the text that names a merchant in `session-from`."""
    return f"wechat-kf:{business_id}"


def business_id_from(text: str) -> str:
    """Return the merchant that a `SessionFrom` names; the main account for any other text.

    A buyer can forge the text; the worst result is a conversation with another merchant of the
    platform, which the buyer may open anyway.
    """
    found = _SESSION_FROM.fullmatch(text)
    return found[1] if found else MAIN_ACCOUNT
