"""Who may send what."""

from dataclasses import replace

import pytest

from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.merchants.merchant import (
    Merchant,
    MerchantInactiveError,
    MerchantStatus,
    UnknownMerchantError,
)
from wechat_kf.domain.messages.permission import SendingPermission


class CountingMerchants(InMemoryMerchants):
    reads = 0

    def get(self, business_id: str) -> Merchant | None:
        self.reads += 1
        return super().get(business_id)


def merchant(status: MerchantStatus) -> Merchant:
    return Merchant("42", "shop_0042", "苹果", "", status=status)


def test_active_merchants_and_the_main_account_may_send() -> None:
    merchants = InMemoryMerchants()
    merchants.add(merchant(MerchantStatus.ACTIVE))
    permission = SendingPermission(merchants, FakeClock())
    permission.check_merchant("42")
    permission.check_merchant("0")


def test_a_merchant_that_is_not_on_record_may_not_unless_the_stack_allows_it() -> None:
    with pytest.raises(UnknownMerchantError, match="43"):
        SendingPermission(InMemoryMerchants(), FakeClock()).check_merchant("43")
    lenient = SendingPermission(InMemoryMerchants(), FakeClock(), allow_unregistered=True)
    lenient.check_merchant("43")


def test_a_merchant_may_send_at_once_after_its_registration() -> None:
    merchants = InMemoryMerchants()
    permission = SendingPermission(merchants, FakeClock())
    with pytest.raises(UnknownMerchantError):
        permission.check_merchant("42")
    merchants.add(merchant(MerchantStatus.ACTIVE))
    permission.check_merchant("42")


def test_an_inactive_merchant_may_not() -> None:
    merchants = InMemoryMerchants()
    merchants.add(merchant(MerchantStatus.INACTIVE))
    with pytest.raises(MerchantInactiveError):
        SendingPermission(merchants, FakeClock()).check_merchant("42")


def test_a_merchant_is_read_once_a_minute() -> None:
    merchants, clock = CountingMerchants(), FakeClock()
    active = merchants.add(merchant(MerchantStatus.ACTIVE))
    permission = SendingPermission(merchants, clock)
    for _ in range(3):
        permission.check_merchant("42")
    assert merchants.reads == 1
    merchants.update(active, replace(active, status=MerchantStatus.INACTIVE))
    clock.advance(MINUTE)
    with pytest.raises(MerchantInactiveError):
        permission.check_merchant("42")


def test_a_menu_needs_consent() -> None:
    menu = {"type": "menu", "items": [{"id": "1", "content": "x"}]}
    with pytest.raises(InvalidRequestError):
        SendingPermission(InMemoryMerchants(), FakeClock()).check_content(menu)
    SendingPermission(InMemoryMerchants(), FakeClock(), allow_menus=True).check_content(menu)
