"""Subscribers hear of every change of a merchant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import InMemoryMerchants, RecordingEvents
from wechat_kf.app_errors import ConflictError
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.announcements import AnnouncedMerchants, changed_event
from wechat_kf.domain.merchants.merchant import ChangedMeanwhileError, Merchant, MerchantStatus

SHOP = Merchant("42", "shop_0042", "苹果旗舰店", external_id="m-1", created_at=1, updated_at=5)


class House:
    def __init__(self) -> None:
        self.events = RecordingEvents()
        self.lost: list[Event] = []
        self.store = AnnouncedMerchants(
            InMemoryMerchants(), self.events, "wx1234567890abcdef", self.lost.append
        )

    @property
    def told(self) -> list[Event]:
        return list(self.events.events.values())


@pytest.fixture
def house() -> House:
    return House()


def test_a_new_merchant_is_announced_as_it_is(house: House) -> None:
    house.store.add(SHOP)
    (event,) = house.told
    document = event.to_cloudevent()
    assert document["type"] == EventType.MERCHANT_CHANGED
    assert document["source"] == "/apps/wx1234567890abcdef/merchants/42"
    assert document["subject"] == "42"
    assert document["time"] == "1970-01-01T00:00:00.005Z"
    assert document["data"] == {
        "business_id": "42",
        "account_name": "shop_0042",
        "nickname": "苹果旗舰店",
        "icon_url": "",
        "external_id": "m-1",
        "status": "active",
        "welcome_message": None,
        "created_at": "1970-01-01T00:00:00.001Z",
        "updated_at": "1970-01-01T00:00:00.005Z",
    }


def test_a_merchant_that_was_there_is_not_announced_again(house: House) -> None:
    house.store.add(SHOP)
    house.store.add(replace(SHOP, nickname="other", created_at=9))
    assert len(house.told) == 1


def test_every_version_is_an_event_of_its_own(house: House) -> None:
    stored = house.store.add(SHOP)
    stored = house.store.update(stored, replace(stored, status=MerchantStatus.INACTIVE))
    house.store.update(stored, replace(stored, status=MerchantStatus.ACTIVE))
    assert [event.data["status"] for event in house.told] == ["active", "inactive", "active"]
    assert len({event.id for event in house.told}) == 3


def test_the_same_version_is_the_same_event() -> None:
    assert changed_event(SHOP, "wx1") == changed_event(replace(SHOP), "wx1")


def test_what_was_refused_is_not_announced(house: House) -> None:
    stored = house.store.add(SHOP)
    with pytest.raises(ChangedMeanwhileError):
        house.store.update(replace(stored, version=7), stored)
    with pytest.raises(ConflictError):
        house.store.add(replace(SHOP, business_id="43"))
    assert len(house.told) == 1


def test_a_silent_queue_loses_the_event_and_not_the_change(house: House) -> None:
    house.events.down = True
    assert house.store.add(SHOP) == SHOP == house.store.get("42")
    assert [event.data["nickname"] for event in house.lost] == ["苹果旗舰店"]


def test_a_version_that_a_restored_table_counts_again_is_another_event() -> None:
    first = changed_event(replace(SHOP, version=4), "wx1")
    again = changed_event(replace(SHOP, version=4, nickname="新名字", updated_at=9), "wx1")
    assert first.id != again.id
    assert changed_event(replace(SHOP, version=4), "wx1").id == first.id  # a repeat


@pytest.mark.parametrize(
    "other",
    [
        {"business_id": "43"},
        {"created_at": 2},
        {"version": 1},
        {"updated_at": 6},
        {"created_at": 11, "version": 0, "updated_at": 5},
    ],
)
def test_different_changes_have_different_ids(other: dict[str, Any]) -> None:
    assert changed_event(SHOP, "wx1").id != changed_event(replace(SHOP, **other), "wx1").id
    assert changed_event(SHOP, "wx1").id != changed_event(SHOP, "wx2").id


def test_the_announced_store_finds_and_lists_as_its_own_does(house: House) -> None:
    house.store.add(SHOP)
    assert house.store.find_by_account_name("shop_0042") == SHOP
    assert house.store.find_by_external_id("m-1") == SHOP
    assert house.store.get("42") == SHOP
    assert list(house.store.list(limit=10, cursor=None).items) == [SHOP]
