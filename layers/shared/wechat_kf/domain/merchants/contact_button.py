"""The contact button of a merchant in the Mini Program, and the way back from it.

WeChat may leave the business id out of `user_enter_tempsession`; so the button carries it a second
time in `session-from`. That text comes back from the buyer's device: it is a hint, never proof.
Source: reference/wechat.md sections 7.4 and 13, pitfall 18.
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
    """What to write on `<button>`; `attributes` are in WXML's spelling."""

    attributes: dict[str, str]

    @property
    def wxml(self) -> str:
        """The button as WXML, ready to paste."""
        written = " ".join(f'{name}="{escape(value)}"' for name, value in self.attributes.items())
        return f"<button {written}>联系客服</button>"


def contact_button(merchant: Merchant) -> ContactButton:
    """The button that opens a conversation with this merchant.

    Raises:
        MerchantInactiveError: the merchant is deactivated; no new conversations should begin.
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
    """The text that names a merchant in `session-from`."""
    return f"wechat-kf:{business_id}"


def business_id_from(text: str) -> str:
    """The merchant that a `SessionFrom` names, or the main account for any other text.

    The text is the buyer's to forge: the worst it can do is to open a conversation with another
    merchant of the platform, which the buyer may do anyway.
    """
    found = _SESSION_FROM.fullmatch(text)
    return found[1] if found else MAIN_ACCOUNT
