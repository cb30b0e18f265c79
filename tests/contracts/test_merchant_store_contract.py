"""What every `MerchantStore` does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.fakes import InMemoryMerchants
from wechat_kf.adapters.aws.dynamo import cursor as encode_cursor
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.app_errors import ConflictError, InvalidRequestError
from wechat_kf.domain.merchants.merchant import (
    ChangedMeanwhileError,
    Merchant,
    MerchantStatus,
    MerchantStore,
)

SHOP = Merchant(
    business_id="42",
    account_name="shop_42",
    nickname="四十二号店 🛍",
    icon_url="https://example.test/icon",
    external_id="ext-42",
    status=MerchantStatus.INACTIVE,
    created_at=1_767_225_600_000,
    updated_at=1_767_225_600_001,
    welcome_message="欢迎 👋",
)


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> InMemoryMerchants | MerchantsTable:
    if request.param == "fake":
        return InMemoryMerchants()
    resources: Resources = request.getfixturevalue("resources")
    return MerchantsTable(resources.dynamodb, resources.table("MerchantsTable"))


def test_a_merchant_comes_back_as_it_was_by_each_of_its_names(store: MerchantStore) -> None:
    assert store.add(SHOP) == SHOP
    assert store.get("42") == SHOP
    assert store.find_by_account_name("shop_42") == SHOP
    assert store.find_by_external_id("ext-42") == SHOP


def test_unknown_names_find_nothing(store: MerchantStore) -> None:
    store.add(SHOP)
    assert store.get("shop_42") is None
    assert store.find_by_account_name("42") is None
    assert store.find_by_external_id("shop_42") is None


def test_adding_again_answers_with_the_first_one_unchanged(store: MerchantStore) -> None:
    store.add(SHOP)
    assert store.add(replace(SHOP, nickname="other", external_id="other")) == SHOP
    assert store.get("42") == SHOP
    assert store.find_by_external_id("other") is None


@pytest.mark.parametrize("field", ["account_name", "external_id"])
def test_a_name_of_another_merchant_is_a_conflict_and_stores_nothing(
    store: MerchantStore, field: str
) -> None:
    store.add(SHOP)
    other = Merchant("43", "shop_43", "other", external_id="ext-43")
    clash = replace(other, **{field: getattr(SHOP, field)})
    with pytest.raises(ConflictError) as raised:
        store.add(clash)
    assert raised.value.members == {"field": field, "business_id": "42"}
    assert store.get("43") is None
    assert store.add(other) == other  # nothing of the failed try is in the way


def test_many_merchants_may_have_no_external_id(store: MerchantStore) -> None:
    for number in ("1", "2"):
        merchant = Merchant(number, f"shop_{number}", "shop")
        assert store.add(merchant) == merchant
        assert store.get(number) == merchant


def test_the_list_is_in_order_and_pages_to_its_end(store: MerchantStore) -> None:
    for number in (7, 3, 5, 1, 9):
        store.add(Merchant(str(number), f"shop_{number}", "shop", external_id=f"ext-{number}"))
    seen, cursor, pages = [], None, 0
    while True:
        page = store.list(limit=2, cursor=cursor)
        seen += [merchant.business_id for merchant in page.items]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
    assert seen == ["1", "3", "5", "7", "9"]
    assert pages == 3


def test_an_empty_list_is_one_empty_page(store: MerchantStore) -> None:
    page = store.list(limit=10, cursor=None)
    assert (list(page.items), page.next_cursor) == ([], None)


@pytest.mark.parametrize(
    "cursor",
    ["x", "W10", "WzFd", "é", "!!!!", "bnVsbA", encode_cursor(""), encode_cursor("x" * 257)],
)
def test_a_cursor_that_is_not_ours_is_the_callers_mistake(
    store: MerchantStore, cursor: str
) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        store.list(limit=10, cursor=cursor)


def test_two_callers_adding_the_same_merchant_get_the_same_answer(
    resources: Resources, dynamodb: Any
) -> None:
    store = MerchantsTable(dynamodb, resources.table("MerchantsTable"))
    rivals = [replace(SHOP, created_at=number) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store.add, rivals))
    assert set(answers) == {store.get("42")}


def test_an_update_is_stored_with_the_next_version(store: MerchantStore) -> None:
    before = store.add(SHOP)
    after = replace(before, nickname="新名字", icon_url="", status=MerchantStatus.ACTIVE)
    stored = store.update(before, after)
    assert stored == replace(after, version=before.version + 1) == store.get("42")
    assert store.find_by_account_name("shop_42") == stored


def test_an_update_moves_the_external_id(store: MerchantStore) -> None:
    before = store.add(SHOP)
    moved = store.update(before, replace(before, external_id="ext-new"))
    assert store.find_by_external_id("ext-new") == moved
    assert store.find_by_external_id("ext-42") is None
    other = store.add(Merchant("43", "shop_43", "other", external_id="ext-42"))
    assert store.find_by_external_id("ext-42") == other


def test_an_update_links_and_unlinks_an_external_id(store: MerchantStore) -> None:
    bare = store.add(replace(SHOP, external_id=None))
    linked = store.update(bare, replace(bare, external_id="ext-1"))
    assert store.find_by_external_id("ext-1") == linked
    store.update(linked, replace(linked, external_id=None))
    assert store.find_by_external_id("ext-1") is None


def test_an_update_to_anothers_external_id_changes_nothing(store: MerchantStore) -> None:
    owner = store.add(SHOP)
    before = store.add(Merchant("43", "shop_43", "other", external_id="ext-43"))
    with pytest.raises(ConflictError) as raised:
        store.update(before, replace(before, external_id="ext-42", nickname="changed"))
    assert raised.value.members == {"field": "external_id", "business_id": "42"}
    assert store.get("43") == before
    assert store.find_by_external_id("ext-42") == owner
    assert store.find_by_external_id("ext-43") == before


def test_an_update_of_an_older_version_is_refused(store: MerchantStore) -> None:
    before = store.add(SHOP)
    newest = store.update(before, replace(before, nickname="first"))
    with pytest.raises(ChangedMeanwhileError):
        store.update(before, replace(before, nickname="second"))
    assert store.get("42") == newest


def test_an_update_of_a_merchant_that_is_not_there_is_refused(store: MerchantStore) -> None:
    with pytest.raises(ChangedMeanwhileError):
        store.update(SHOP, replace(SHOP, nickname="other"))
    assert store.get("42") is None


def test_of_several_updates_at_once_exactly_one_is_stored(
    resources: Resources, dynamodb: Any
) -> None:
    store = MerchantsTable(dynamodb, resources.table("MerchantsTable"))
    before = store.add(SHOP)

    def change(number: int) -> bool:
        try:
            store.update(before, replace(before, nickname=f"name{number}"))
        except ChangedMeanwhileError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, range(4))) == [False, False, False, True]


def test_the_place_of_the_reconciliation_is_kept_and_is_no_merchant(
    store: InMemoryMerchants | MerchantsTable,
) -> None:
    assert store.read_place() == ""
    store.write_place("42")
    store.write_place("43")
    assert store.read_place() == "43"
    assert store.list(limit=10, cursor=None).items == []
    store.write_place("")
    assert store.read_place() == ""
