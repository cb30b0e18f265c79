"""Reconciling with WeChat's list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.domain.merchants.merchant import DirectoryEntry, Merchant
from wechat_kf.domain.merchants.reconciliation import MerchantSync, SyncReport
from wechat_kf.errors import UnavailableError


class House:
    def __init__(self) -> None:
        self.store = InMemoryMerchants()
        self.directory = FakeDirectory()
        self.clock = FakeClock()
        self.sync = MerchantSync(self.store, self.directory, self.clock)

    def known(self, number: int, external_id: str | None = None) -> Merchant:
        """A merchant at WeChat and on record."""
        entry = self.directory.add(f"shop_{number:04}", f"商店{number}")
        return self.store.add(Merchant.adopt(entry, external_id, now=1))

    @property
    def agrees(self) -> bool:
        """Whether the records say what WeChat says."""
        page = self.store.list(limit=10_000, cursor=None)
        ours = {
            merchant.business_id: DirectoryEntry(
                merchant.business_id, merchant.account_name, merchant.nickname, merchant.icon_url
            )
            for merchant in page.items
        }
        return ours == self.directory.entries


@pytest.fixture
def house() -> House:
    return House()


@pytest.mark.parametrize("count", [0, 1, 200, 201, 500])
def test_every_sub_merchant_is_adopted_once(house: House, count: int) -> None:
    for number in range(count):
        house.directory.add(f"shop_{number:04}", f"商店{number}")
    report = house.sync.run()
    assert (report.listed, len(report.added), report.complete) == (count, count, True)
    assert house.agrees
    assert house.sync.run() == SyncReport(listed=count)


def test_names_and_icons_are_corrected_and_nothing_else(house: House) -> None:
    before = house.known(1, "m-1")
    house.known(2)
    house.directory.entries["1"] = DirectoryEntry("1", "shop_0001", "新名字", "https://new.test")
    report = house.sync.run()
    assert report == SyncReport(listed=2, changed=("1",))
    after = house.store.get("1")
    assert after == replace(
        before,
        nickname="新名字",
        icon_url="https://new.test",
        updated_at=house.clock.now,
        version=1,
    )


def test_what_wechat_does_not_know_any_more_is_reported_and_left_alone(house: House) -> None:
    gone = house.known(1)
    house.known(2)
    del house.directory.entries["1"]
    report = house.sync.run()
    assert report == SyncReport(listed=1, missing=("1",))
    assert house.store.get("1") == gone


def test_what_slipped_between_two_pages_is_not_reported_missing(house: House) -> None:
    for number in range(4):
        house.known(number)
    house.directory.page_size = 2
    whole = house.directory.list()

    def shifting() -> Iterator[DirectoryEntry]:
        yield next(whole)
        yield next(whole)
        moved = house.directory.entries.pop("1")  # the rest moves up by one: "3" is skipped
        yield from whole
        house.directory.entries["1"] = moved

    house.directory.list = shifting  # type: ignore[method-assign]
    report = house.sync.run()
    assert report.listed == 3
    assert report.missing == ()


def test_a_merchant_registered_while_the_list_is_read_is_not_added_twice(house: House) -> None:
    entry = house.directory.add("shop_0001", "商店1")
    listing = house.directory.list

    def overtaken() -> Iterator[DirectoryEntry]:
        house.store.add(Merchant.adopt(entry, "m-1", now=7))
        yield from listing()

    house.directory.list = overtaken  # type: ignore[method-assign]
    assert house.sync.run() == SyncReport(listed=1)
    kept = house.store.get("1")
    assert kept is not None
    assert kept.external_id == "m-1"


def test_a_newer_change_is_not_overwritten_by_an_older_list(house: House) -> None:
    record = house.known(1)
    stale = DirectoryEntry("1", "shop_0001", "旧名字", record.icon_url)

    def older() -> Iterator[DirectoryEntry]:
        house.store.update(record, replace(record, nickname="新名字"))
        yield stale

    house.directory.list = older  # type: ignore[method-assign]
    assert house.sync.run().changed == ()
    kept = house.store.get("1")
    assert kept is not None
    assert kept.nickname == "新名字"


def test_an_account_name_that_another_record_holds_is_reported(house: House) -> None:
    house.store.add(Merchant("77", "shop_0001", "别的"))
    house.directory.add("shop_0001", "商店1")
    report = house.sync.run()
    assert (report.conflicting, report.missing) == (("1",), ("77",))


def test_a_list_that_breaks_off_changes_nothing(house: House) -> None:
    house.known(1)
    del house.directory.entries["1"]
    house.directory.before["list"] = UnavailableError("no answer")
    with pytest.raises(UnavailableError):
        house.sync.run()
    assert house.store.get("1") is not None


def test_out_of_time_it_says_so_and_the_next_run_does_the_rest(house: House) -> None:
    for number in range(3):
        house.directory.add(f"shop_{number:04}", f"商店{number}")
    add = house.store.add

    def slow(merchant: Merchant) -> Merchant:
        house.clock.advance(15_000)
        return add(merchant)

    house.store.add = slow  # type: ignore[method-assign]
    first = house.sync.run()
    assert (first.complete, first.added) == (False, ("1", "2"))
    second = house.sync.run()
    assert (second.complete, second.added) == (True, ("3",))
    assert house.agrees
