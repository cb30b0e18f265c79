"""Opening a sub-merchant, whatever comes between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.app_errors import ConflictError, UnavailableError
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    DirectoryEntry,
    Merchant,
    OutcomeUnknownError,
    Registration,
)
from wechat_kf.domain.merchants.registration import Registrar

SHOP = Registration("shop_0042", "苹果旗舰店", icon=b"image", external_id="m-1001")


class BrokenOnceMerchants(InMemoryMerchants):
    """A table that is away when the first merchant is to be stored."""

    broken = True

    def add(self, merchant: Merchant) -> Merchant:
        if self.broken:
            self.broken = False
            raise UnavailableError("the table does not answer")
        return super().add(merchant)


@pytest.fixture
def store() -> InMemoryMerchants:
    return InMemoryMerchants()


@pytest.fixture
def directory() -> FakeDirectory:
    return FakeDirectory()


@pytest.fixture
def registrar(store: InMemoryMerchants, directory: FakeDirectory, clock: FakeClock) -> Registrar:
    return Registrar(store, directory, clock, pause=lambda _: None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_new_merchant_is_opened_at_wechat_and_put_on_record(
    registrar: Registrar, store: InMemoryMerchants, clock: FakeClock
) -> None:
    merchant, created = registrar.register(SHOP)
    assert created
    assert merchant == Merchant(
        "1",
        "shop_0042",
        "苹果旗舰店",
        "https://icons.test/media-1",
        "m-1001",
        created_at=clock.now,
        updated_at=clock.now,
    )
    assert store.find_by_external_id("m-1001") == merchant


def test_the_icon_is_uploaded_right_before_it_is_used(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    registrar.register(SHOP)
    assert directory.calls == ["find", "upload_icon", "register"]


def test_a_media_id_is_used_as_it_is(registrar: Registrar, directory: FakeDirectory) -> None:
    merchant, _ = registrar.register(replace(SHOP, icon="my-media"))
    assert merchant.icon_url == "https://icons.test/my-media"
    assert "upload_icon" not in directory.calls


def test_a_repeat_answers_the_same_and_asks_wechat_nothing(
    registrar: Registrar, directory: FakeDirectory, clock: FakeClock
) -> None:
    first, _ = registrar.register(SHOP)
    directory.calls.clear()
    clock.advance(5)
    assert registrar.register(SHOP) == (first, False)
    assert directory.calls == []


def test_a_crash_before_our_record_is_mended_by_the_retry(
    directory: FakeDirectory, clock: FakeClock
) -> None:
    registrar = Registrar(BrokenOnceMerchants(), directory, clock, pause=lambda _: None)
    with pytest.raises(UnavailableError):
        registrar.register(SHOP)
    directory.calls.clear()
    merchant, created = registrar.register(SHOP)
    assert (merchant.business_id, created) == ("1", False)
    assert directory.calls == ["find"]  # no second upload, no second register
    assert len(directory.entries) == 1


def test_a_time_out_after_wechat_did_it_is_settled_at_once(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    directory.after["register"] = OutcomeUnknownError()
    merchant, created = registrar.register(SHOP)
    assert (merchant.business_id, created) == ("1", True)


def test_a_time_out_before_wechat_did_it_asks_for_a_repeat_which_works(
    registrar: Registrar, directory: FakeDirectory, store: InMemoryMerchants
) -> None:
    directory.before["register"] = OutcomeUnknownError()
    with pytest.raises(UnavailableError, match="repeat"):
        registrar.register(SHOP)
    assert store.find_by_account_name("shop_0042") is None
    assert registrar.register(SHOP)[1]


def test_an_account_registered_elsewhere_is_adopted_with_wechats_data(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    directory.add("shop_0042", "老名字")
    merchant, created = registrar.register(SHOP)
    assert not created
    assert (merchant.nickname, merchant.external_id) == ("老名字", "m-1001")
    assert "upload_icon" not in directory.calls


def test_a_name_that_is_used_up_is_a_conflict_with_wechats_evidence(
    registrar: Registrar, directory: FakeDirectory, store: InMemoryMerchants
) -> None:
    directory.burnt.add("shop_0042")
    with pytest.raises(AccountNameTakenError) as raised:
        registrar.register(SHOP)
    assert raised.value.members == {
        "field": "account_name",
        "errcode": 45070,
        "rid": "6114dedc-7e90330d-3fb31e22",
    }
    assert store.find_by_account_name("shop_0042") is None


def test_losing_the_race_at_wechat_adopts_the_winners_account(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    upload = directory.upload_icon

    def overtaken(image: bytes) -> str:
        directory.add("shop_0042", "苹果旗舰店")
        return upload(image)

    directory.upload_icon = overtaken  # type: ignore[method-assign]
    merchant, created = registrar.register(SHOP)
    assert (merchant.business_id, created) == ("1", False)


def test_two_callers_at_once_get_one_sub_merchant_and_equal_answers(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: registrar.register(SHOP), range(4)))
    assert len(directory.entries) == 1
    assert len({merchant for merchant, _ in answers}) == 1
    assert sum(created for _, created in answers) == 1


def test_a_name_of_ours_under_another_external_id_is_a_conflict_that_names_the_owner(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    registrar.register(SHOP)
    with pytest.raises(ConflictError) as raised:
        registrar.register(replace(SHOP, external_id="m-2"))
    assert raised.value.members == {"field": "account_name", "business_id": "1"}
    assert len(directory.entries) == 1


def test_an_external_id_of_another_account_is_refused_before_wechat_is_asked(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    registrar.register(SHOP)
    directory.calls.clear()
    with pytest.raises(ConflictError) as raised:
        registrar.register(replace(SHOP, account_name="shop_0043"))
    assert raised.value.members == {"field": "external_id", "business_id": "1"}
    assert directory.calls == []


def test_without_an_account_name_the_external_id_finds_the_merchant(registrar: Registrar) -> None:
    first, _ = registrar.register(SHOP)
    again = replace(SHOP, account_name="m_derived", name_is_derived=True)
    assert registrar.register(again) == (first, False)


def test_a_missing_external_id_is_added_to_an_adopted_merchant(
    registrar: Registrar, store: InMemoryMerchants
) -> None:
    bare, _ = registrar.register(replace(SHOP, external_id=None))
    linked, created = registrar.register(SHOP)
    assert (linked.business_id, linked.external_id, created) == (bare.business_id, "m-1001", False)
    assert store.find_by_external_id("m-1001") == linked


def test_no_external_id_in_a_repeat_keeps_the_one_on_record(registrar: Registrar) -> None:
    first, _ = registrar.register(SHOP)
    assert registrar.register(replace(SHOP, external_id=None)) == (first, False)


def test_losing_the_external_id_to_another_name_keeps_what_wechat_opened_on_record(
    registrar: Registrar, directory: FakeDirectory, store: InMemoryMerchants
) -> None:
    # Given another request that takes the external id while this one is at WeChat
    rival = directory.add("shop_rival", "对手的店")
    upload = directory.upload_icon

    def overtaken(image: bytes) -> str:
        store.add(Merchant.adopt(rival, "m-1001", now=1))
        return upload(image)

    directory.upload_icon = overtaken  # type: ignore[method-assign]
    # When it comes back from WeChat
    with pytest.raises(ConflictError) as raised:
        registrar.register(SHOP)
    # Then it is a conflict, and the new sub-merchant is on record all the same
    assert raised.value.members == {"field": "external_id", "business_id": "1"}
    kept = store.find_by_account_name("shop_0042")
    assert kept is not None
    assert kept.external_id is None


def appearing(directory: FakeDirectory, look: int) -> None:
    """WeChat lists what was registered only at the look of this number after the first."""
    find = directory.find
    looks = 0

    def late(account_name: str) -> DirectoryEntry | None:
        nonlocal looks
        looks += 1
        return find(account_name) if looks > look else None

    directory.find = late  # type: ignore[method-assign]


@pytest.mark.parametrize(("look", "pauses"), [(1, []), (2, [0.3]), (3, [0.3, 0.6])])
def test_what_shows_up_late_is_looked_for_with_growing_pauses(
    directory: FakeDirectory,
    store: InMemoryMerchants,
    clock: FakeClock,
    look: int,
    pauses: list[float],
) -> None:
    paused: list[float] = []
    registrar = Registrar(store, directory, clock, pause=paused.append)
    directory.after["register"] = OutcomeUnknownError()
    appearing(directory, look)
    assert registrar.register(SHOP)[0].account_name == "shop_0042"
    assert paused == pytest.approx(pauses)


def test_what_does_not_show_up_is_given_up_after_three_looks(
    directory: FakeDirectory, store: InMemoryMerchants, clock: FakeClock
) -> None:
    paused: list[float] = []
    registrar = Registrar(store, directory, clock, pause=paused.append)
    directory.after["register"] = OutcomeUnknownError()
    appearing(directory, 4)
    with pytest.raises(UnavailableError):
        registrar.register(SHOP)
    assert paused == pytest.approx([0.3, 0.6])


@pytest.mark.parametrize(("rivals", "given_up"), [(2, False), (3, True)])
def test_a_record_that_others_keep_changing_is_linked_or_given_up(
    registrar: Registrar,
    directory: FakeDirectory,
    store: InMemoryMerchants,
    *,
    rivals: int,
    given_up: bool,
) -> None:
    directory.add("shop_0042", "苹果旗舰店")
    registrar.register(replace(SHOP, external_id=None))
    update = store.update
    left = rivals

    def overtaken(before: Merchant, after: Merchant) -> Merchant:
        nonlocal left
        if left:
            left -= 1
            update(before, replace(before, welcome_message=f"欢迎{left}"))
        return update(before, after)

    store.update = overtaken  # type: ignore[method-assign]
    if given_up:
        with pytest.raises(UnavailableError):
            registrar.register(SHOP)
    else:
        assert registrar.register(SHOP)[0].external_id == "m-1001"


def test_a_merchant_on_record_is_returned_without_asking_wechat(
    registrar: Registrar, directory: FakeDirectory
) -> None:
    known, _ = registrar.register(replace(SHOP, external_id=None))
    directory.calls.clear()
    assert registrar.register(replace(SHOP, external_id=None)) == (known, False)
    assert directory.calls == []
