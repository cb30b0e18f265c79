"""Merchants are read once a minute, and new ones are found immediately."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.merchants.merchant import Merchant
from wechat_kf.domain.merchants.merchant_memory import MerchantMemory

SHOP = Merchant("42", "shop_0042", "苹果旗舰店")


def test_a_change_shows_after_a_minute() -> None:
    store, clock = InMemoryMerchants(), FakeClock()
    memory = MerchantMemory(store, clock)
    store.add(SHOP)
    assert memory.get("42") == SHOP

    changed = store.update(SHOP, replace(SHOP, nickname="梨子旗舰店"))
    clock.advance(MINUTE - 1)
    assert memory.get("42") == SHOP
    clock.advance(1)
    assert memory.get("42") == changed


def test_a_new_merchant_is_found_immediately() -> None:
    store = InMemoryMerchants()
    memory = MerchantMemory(store, FakeClock())
    assert memory.get("42") is None
    store.add(SHOP)
    assert memory.get("42") == SHOP
