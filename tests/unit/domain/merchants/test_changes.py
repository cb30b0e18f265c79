"""Reading and changing merchants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.app_errors import ConflictError, NotFoundError, UnavailableError
from wechat_kf.domain.merchants.changes import MerchantAdmin, MerchantChange, MerchantQuery
from wechat_kf.domain.merchants.merchant import (
    ChangedMeanwhileError,
    Merchant,
    MerchantStatus,
    MissingAtWeChatError,
)


class House:
    """One merchant "1" at WeChat and on record."""

    def __init__(self) -> None:
        self.store = InMemoryMerchants()
        self.directory = FakeDirectory()
        self.clock = FakeClock()
        self.admin = MerchantAdmin(self.store, self.directory, self.clock)
        entry = self.directory.add("shop_0042", "苹果旗舰店")
        self.merchant = self.store.add(Merchant.adopt(entry, "m-1001", now=1))

    def change(self, **change: object) -> Merchant:
        return self.admin.change("1", MerchantChange(**change))  # type: ignore[arg-type]

    @property
    def updates(self) -> int:
        return self.directory.calls.count("update")


@pytest.fixture
def house() -> House:
    return House()


def test_a_new_nickname_goes_to_wechat_and_on_record(house: House) -> None:
    changed = house.change(nickname="新名字")
    assert changed.nickname == "新名字" == house.directory.entries["1"].nickname
    assert changed == house.store.get("1")
    assert changed.updated_at == house.clock.now
    assert changed.created_at == 1


def test_a_new_icon_is_uploaded_and_its_new_address_recorded(house: House) -> None:
    changed = house.change(icon=b"image")
    assert changed.icon_url == "https://icons.test/media-1"
    assert changed.nickname == "苹果旗舰店"
    assert house.directory.calls.index("upload_icon") == house.directory.calls.index("update") - 1


def test_nothing_to_change_asks_wechat_nothing_and_leaves_the_record(house: House) -> None:
    assert house.change() == house.merchant
    assert house.directory.calls == []


def test_a_nickname_that_wechat_has_already_spends_no_update(house: House) -> None:
    assert house.change(nickname="苹果旗舰店") == house.merchant
    assert house.updates == 0


def test_only_what_differs_is_sent(house: House) -> None:
    house.change(nickname="苹果旗舰店", icon="my-media")
    assert house.directory.entries["1"].icon_url == "https://icons.test/my-media"
    assert house.updates == 1


def test_a_retry_after_a_crash_compares_with_wechat_not_with_our_record(house: House) -> None:
    # Given WeChat took a name and we crashed before writing it down
    house.directory.update("1", nickname="中间名字")
    # When the operator goes back to the name that is still on our record
    changed = house.change(nickname="苹果旗舰店")
    # Then WeChat is told, though our record needed no change
    assert changed.nickname == "苹果旗舰店" == house.directory.entries["1"].nickname


def test_a_refused_nickname_changes_nothing_on_record(house: House) -> None:
    house.directory.before["update"] = RuntimeError("45079")
    with pytest.raises(RuntimeError):
        house.change(nickname="违禁", external_id="m-2", status=MerchantStatus.INACTIVE)
    assert house.store.get("1") == house.merchant


def test_deactivate_and_reactivate_concern_our_record_only(house: House) -> None:
    inactive = house.change(status=MerchantStatus.INACTIVE)
    assert inactive.status is MerchantStatus.INACTIVE
    assert house.change(status=MerchantStatus.INACTIVE) == inactive
    assert house.change(status=MerchantStatus.ACTIVE).status is MerchantStatus.ACTIVE
    assert house.directory.calls == []


def test_the_external_id_can_be_moved(house: House) -> None:
    changed = house.change(external_id="m-2")
    assert house.store.find_by_external_id("m-2") == changed
    assert house.store.find_by_external_id("m-1001") is None


def test_an_external_id_of_another_merchant_is_refused_before_anything_changes(
    house: House,
) -> None:
    other = house.directory.add("shop_0043", "香蕉旗舰店")
    house.store.add(Merchant.adopt(other, "m-2", now=1))
    with pytest.raises(ConflictError) as raised:
        house.change(nickname="新名字", external_id="m-2")
    assert raised.value.members == {"field": "external_id", "business_id": "2"}
    assert house.directory.calls == []


def test_an_unknown_merchant_is_not_found(house: House) -> None:
    with pytest.raises(NotFoundError):
        house.admin.get("9")
    with pytest.raises(NotFoundError):
        house.admin.change("9", MerchantChange(nickname="新名字"))
    assert house.directory.calls == []


def test_a_merchant_that_wechat_lost_is_told_apart(house: House) -> None:
    house.directory.entries.clear()
    with pytest.raises(MissingAtWeChatError):
        house.change(nickname="新名字")


def test_a_rivals_change_between_read_and_write_is_not_lost(house: House) -> None:
    # Given a rival who moves the external id while we are at WeChat
    def rival(business_id: str) -> object:
        house.directory.get = get  # type: ignore[method-assign]
        before = house.store.get("1")
        assert before
        house.store.update(before, replace(before, external_id="m-rival"))
        return get(business_id)

    get = house.directory.get
    house.directory.get = rival  # type: ignore[assignment, method-assign]
    # When we change the nickname
    changed = house.change(nickname="新名字")
    # Then both changes stand
    assert (changed.nickname, changed.external_id) == ("新名字", "m-rival")


def test_a_record_that_never_holds_still_is_given_up(house: House) -> None:
    def refuse(before: Merchant, after: Merchant) -> Merchant:
        raise ChangedMeanwhileError

    house.store.update = refuse  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        house.change(status=MerchantStatus.INACTIVE)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["1"]),
        ({"account_name": "shop_0042"}, ["1"]),
        ({"external_id": "m-1001"}, ["1"]),
        ({"account_name": "shop_0042", "external_id": "m-1001"}, ["1"]),
        ({"account_name": "shop_0043", "external_id": "m-1001"}, []),
        ({"account_name": "nobody"}, []),
        ({"external_id": "nobody"}, []),
    ],
)
def test_filters_match_exactly_and_all_of_them(
    house: House, filters: dict[str, str], found: list[str]
) -> None:
    page = house.admin.search(MerchantQuery(limit=10, **filters))
    assert [merchant.business_id for merchant in page.items] == found
    assert page.next_cursor is None


@pytest.mark.parametrize(("rivals", "given_up"), [(3, False), (4, True)])
def test_a_change_is_tried_four_times(house: House, *, rivals: int, given_up: bool) -> None:
    update = house.store.update
    left = rivals

    def overtaken(before: Merchant, after: Merchant) -> Merchant:
        nonlocal left
        if left:
            left -= 1
            raise ChangedMeanwhileError
        return update(before, after)

    house.store.update = overtaken  # type: ignore[method-assign]
    if given_up:
        with pytest.raises(UnavailableError):
            house.change(status=MerchantStatus.INACTIVE)
    else:
        assert house.change(status=MerchantStatus.INACTIVE).status is MerchantStatus.INACTIVE


def test_the_greeting_is_set_kept_and_removed(house: House) -> None:
    assert house.change(welcome_message="欢迎").welcome_message == "欢迎"
    assert house.change(status=MerchantStatus.INACTIVE).welcome_message == "欢迎"
    assert house.change(welcome_message="").welcome_message is None
