"""An entering without a business id goes to the merchant whose button was tapped, if ours."""

from dataclasses import dataclass, field, replace

import pytest

from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.contact_button import session_from
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStatus
from wechat_kf.domain.merchants.session_entry import EntryRecovery


@dataclass
class Merchants:
    """The merchants 42 (active) and 43 (not any more)."""

    asked: list[str] = field(default_factory=list)

    def get(self, business_id: str) -> Merchant | None:
        self.asked.append(business_id)
        if business_id not in ("42", "43"):
            return None
        status = MerchantStatus.ACTIVE if business_id == "42" else MerchantStatus.INACTIVE
        return Merchant(business_id, "account", "nickname", status=status)


def entered(text: str, business_id: str = "0") -> Event:
    data = {"business_id": business_id, "openid": "o1", "session_from": text}
    return Event("e1", EventType.SESSION_ENTERED, "wx1", business_id, "o1", 1, data)


@pytest.mark.parametrize("business_id", ["42", "43"])
def test_a_merchant_of_ours_gets_its_entering_back(business_id: str) -> None:
    event = entered(session_from(business_id))

    recovered = EntryRecovery(Merchants()).recover(event)

    assert recovered.business_id == recovered.data["business_id"] == business_id
    assert recovered.conversation == f"{business_id}#o1"
    assert (recovered.id, recovered.data["session_from"]) == (event.id, event.data["session_from"])


@pytest.mark.parametrize(
    "text",
    [session_from("44"), "", "wechat-kf:0", "wechat-kf:42 ", "wechat-kf:42#o2", "42", "来自"],
)
def test_any_other_text_leaves_it_with_the_main_account(text: str) -> None:
    event = entered(text)
    assert EntryRecovery(Merchants()).recover(event) == event


def test_what_wechat_said_is_not_overruled() -> None:
    merchants = Merchants()
    event = entered(session_from("42"), business_id="7")

    assert EntryRecovery(merchants).recover(event) == event
    assert merchants.asked == []


def test_merchants_are_only_looked_up_for_enterings_that_name_one() -> None:
    merchants = Merchants()
    recovery = EntryRecovery(merchants)

    recovery.recover(entered("poster"))
    recovery.recover(replace(entered(session_from("42")), type=EventType.MESSAGE_RECEIVED))

    assert merchants.asked == []
