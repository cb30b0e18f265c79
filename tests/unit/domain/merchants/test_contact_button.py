"""The contact button, and the way back from it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_kf.domain.merchants.contact_button import business_id_from, contact_button, session_from
from wechat_kf.domain.merchants.merchant import Merchant, MerchantInactiveError, MerchantStatus

SHOP = Merchant("42", "shop_0042", "苹果旗舰店")


def test_the_button_names_the_merchant_and_carries_the_fallback() -> None:
    button = contact_button(SHOP)
    assert button.attributes["open-type"] == "contact"
    assert button.attributes["business-id"] == "42"
    assert business_id_from(button.attributes["session-from"]) == "42"


def test_the_wxml_says_the_same_as_the_attributes() -> None:
    button = contact_button(SHOP)
    element = ElementTree.fromstring(button.wxml)  # noqa: S314 - our own text
    assert element.tag == "button"
    assert element.attrib == button.attributes


def test_a_deactivated_merchant_has_no_button() -> None:
    inactive = Merchant("42", "shop_0042", "苹果旗舰店", status=MerchantStatus.INACTIVE)
    with pytest.raises(MerchantInactiveError):
        contact_button(inactive)


@given(st.integers(min_value=1, max_value=10**20 - 1).map(str))
def test_every_business_id_finds_its_way_back(business_id: str) -> None:
    text = session_from(business_id)
    assert business_id_from(text) == business_id
    assert len(text.encode()) < 1000  # WeChat cuts longer ones


@pytest.mark.parametrize(
    "text",
    ["", "42", "wechat-kf:", "wechat-kf:0", "wechat-kf:042", "wechat-kf:42 ", "wechat-kf:４２"],
)
def test_any_other_text_means_the_main_account(text: str) -> None:
    assert business_id_from(text) == "0"


@given(st.text())
def test_no_text_of_a_buyers_does_harm(text: str) -> None:
    assert business_id_from(text).isdigit()
