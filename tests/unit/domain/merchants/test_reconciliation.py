"""Reconciling with WeChat's list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.merchants.merchant import DirectoryEntry, Merchant
from wechat_kf.domain.merchants.reconciliation import (
    BUDGET_MS,
    PAGE,
    WORKERS,
    MerchantSync,
    SyncReport,
)


def ignore(business_id: str) -> None:
    """The list has nothing unreadable here."""


class House:
    def __init__(self) -> None:
        self.store = InMemoryMerchants()
        self.directory = FakeDirectory()
        self.clock = FakeClock()
        self.sync = MerchantSync(self.store, self.directory, self.store, self.clock)

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
    whole = house.directory.list(ignore)

    def shifting(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
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

    def overtaken(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        house.store.add(Merchant.adopt(entry, "m-1", now=7))
        yield from listing(report_unreadable)

    house.directory.list = overtaken  # type: ignore[method-assign]
    assert house.sync.run() == SyncReport(listed=1)
    kept = house.store.get("1")
    assert kept is not None
    assert kept.external_id == "m-1"


def test_a_newer_change_is_not_overwritten_by_an_older_list(house: House) -> None:
    record = house.known(1)
    stale = DirectoryEntry("1", "shop_0001", "旧名字", record.icon_url)

    def older(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
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
    one_by_one = replace(house.sync, workers=1)
    first = one_by_one.run()
    assert (first.complete, first.added) == (False, ("1", "2"))
    second = one_by_one.run()
    assert (second.complete, second.added) == (True, ("3",))
    assert house.agrees


def test_more_missing_than_a_run_can_ask_for_are_all_reported_run_by_run(house: House) -> None:
    count = 250
    for number in range(count):
        house.known(number)
    house.directory.entries.clear()
    changed = house.store.add(Merchant("1000", "shop_9002", "旧名字"))
    house.directory.entries["1000"] = DirectoryEntry("1000", "shop_9002", "新名字")
    get = house.directory.get

    def slow(business_id: str) -> DirectoryEntry | None:
        house.clock.advance(200)
        return get(business_id)

    house.directory.get = slow  # type: ignore[method-assign]
    one_by_one = replace(house.sync, workers=1)
    reports = [one_by_one.run()]
    assert reports[0].changed == (changed.business_id,)  # what differs never waits for them
    while not reports[-1].complete:
        assert len(reports) < 5
        reports.append(one_by_one.run())
    missing = [business_id for report in reports for business_id in report.missing]
    assert sorted(missing, key=int) == [str(number) for number in range(1, count + 1)]
    assert house.store.read_place() == ""
    assert one_by_one.run().missing[0] == "1"  # the next one starts from the beginning


def test_the_search_goes_on_where_it_stopped_and_then_begins_again(house: House) -> None:
    for number in range(5):
        house.known(number)
    house.directory.entries.clear()
    house.store.write_place("3")
    report = house.sync.run()
    assert (report.missing, report.complete) == (("4", "5"), True)
    assert house.store.read_place() == ""
    assert house.sync.run().missing == ("1", "2", "3", "4", "5")


def test_a_search_that_breaks_off_keeps_its_place(house: House) -> None:
    for number in range(6):
        house.known(number)
    house.directory.entries.clear()
    get = house.directory.get

    def broken(business_id: str) -> DirectoryEntry | None:
        if business_id == "5":
            raise UnavailableError("no answer")
        return get(business_id)

    house.directory.get = broken  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        replace(house.sync, workers=1).run()
    assert house.store.read_place() == "4"


def test_a_complete_run_writes_no_place(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.known(1)
    house.directory.entries.clear()
    monkeypatch.setattr(house.store, "write_place", None)
    assert house.sync.run().missing == ("1",)


def test_out_of_time_while_listing_nothing_is_called_missing(house: House) -> None:
    house.known(1)
    house.directory.entries.clear()
    house.directory.add("shop_0002", "商店2")

    def slow(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        house.clock.advance(house.sync.budget_ms + 1)
        yield house.directory.entries["1"]

    house.directory.list = slow  # type: ignore[method-assign]
    report = house.sync.run()
    assert report == SyncReport(listed=1, complete=False)
    assert "get" not in house.directory.calls


def test_a_run_may_use_all_of_its_time(house: House) -> None:
    house.directory.add("shop_0001", "商店1")
    listing = house.directory.list

    def slow(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        house.clock.advance(house.sync.budget_ms)
        yield from listing(report_unreadable)

    house.directory.list = slow  # type: ignore[method-assign]
    assert house.sync.run() == SyncReport(listed=1, added=("1",))


def test_an_odd_entry_is_reported_and_the_others_are_reconciled(house: House) -> None:
    house.known(1)
    house.directory.add("shop_0002", "商店2")
    house.directory.add("shop_0003", "商店3")
    house.directory.unreadable = {"1", "2"}
    report = house.sync.run()
    assert report == SyncReport(listed=3, added=("3",), unreadable=("1", "2"))
    assert house.store.get("2") is None


def test_an_odd_entry_that_the_list_left_out_is_not_missing(house: House) -> None:
    house.known(1)
    house.known(2)
    house.directory.unreadable = {"1"}
    listed = house.directory.entries["2"]
    house.directory.list = lambda report_unreadable: iter([listed])  # type: ignore[method-assign]
    assert house.sync.run() == SyncReport(listed=1, unreadable=("1",))


def test_merchants_are_settled_side_by_side(house: House) -> None:
    """Thousands are adopted in one daily run: 12 ms each, several at a time."""
    together = threading.Barrier(house.sync.workers, timeout=10)
    for number in range(house.sync.workers):
        house.directory.add(f"shop_{number:04}", f"商店{number}")
    add = house.store.add

    def meet(merchant: Merchant) -> Merchant:
        together.wait()
        return add(merchant)

    house.store.add = meet  # type: ignore[method-assign]
    assert len(house.sync.run().added) == house.sync.workers


def test_out_of_time_no_other_page_is_asked_for(house: House) -> None:
    for number in range(3 * PAGE):
        house.directory.add(f"shop_{number:04}", f"商店{number}")
    listing = house.directory.list

    def slow(report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        for number, entry in enumerate(listing(report_unreadable)):
            if number == PAGE:
                house.clock.advance(house.sync.budget_ms + 1)
            yield entry

    house.directory.list = slow  # type: ignore[method-assign]
    report = house.sync.run()
    assert (report.listed, report.complete, len(report.added)) == (2 * PAGE, False, PAGE)
    assert house.directory.calls == ["list", "list"]


def test_the_limits_are_those_that_the_documents_say() -> None:
    assert (BUDGET_MS, WORKERS) == (20_000, 8)  # docs/merchants.md
    assert PAGE == 200  # the most that WeChat and our store give at once
