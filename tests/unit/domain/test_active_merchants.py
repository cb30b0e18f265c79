"""Deactivated merchants may not send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.domain.active_merchants import ActiveMerchants
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.merchant import Merchant, MerchantInactiveError, MerchantStatus

SHOP = Merchant("42", "shop_0042", "苹果旗舰店")
INACTIVE = replace(SHOP, status=MerchantStatus.INACTIVE)


class CountingMerchants(InMemoryMerchants):
    reads = 0

    def get(self, business_id: str) -> Merchant | None:
        self.reads += 1
        return super().get(business_id)


def test_an_active_merchant_passes_and_is_read_once_a_minute() -> None:
    store, clock = CountingMerchants(), FakeClock()
    store.add(SHOP)
    merchants = ActiveMerchants(store, clock)
    for _ in range(5):
        merchants.require("42")
    assert store.reads == 1
    clock.advance(MINUTE)
    merchants.require("42")
    assert store.reads == 2


def test_a_deactivated_merchant_is_refused_within_a_minute() -> None:
    store, clock = InMemoryMerchants(), FakeClock()
    store.add(SHOP)
    merchants = ActiveMerchants(store, clock)
    merchants.require("42")
    store.update(SHOP, INACTIVE)
    clock.advance(MINUTE)
    with pytest.raises(MerchantInactiveError) as raised:
        merchants.require("42")
    assert raised.value.members == {"business_id": "42"}


def test_a_reactivated_merchant_passes_at_once() -> None:
    store = InMemoryMerchants()
    stored = store.add(INACTIVE)
    merchants = ActiveMerchants(store, FakeClock())
    with pytest.raises(MerchantInactiveError):
        merchants.require("42")
    store.update(stored, SHOP)
    merchants.require("42")


def test_a_merchant_without_a_record_passes() -> None:
    ActiveMerchants(InMemoryMerchants(), FakeClock()).require("0")
