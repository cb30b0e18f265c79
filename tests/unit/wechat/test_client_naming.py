"""Names of sub-merchants, checked before a call is spent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.naming import (
    derive_account_name,
    validate_account_name,
    validate_nickname,
)


@pytest.mark.parametrize("name", ["abcdef", "a" * 30, "Shop_0042", "______", "123456"])
def test_account_names_within_the_rule(name: str) -> None:
    assert validate_account_name(name) == name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("apple", "found 5"),
        ("", "found 0"),
        ("a" * 31, "found 31"),
        ("shop-0042", r"found '-' \(U\+002D\)"),
        ("shop 42", "U\\+0020"),
        ("shop_42\n", "U\\+000A"),
        ("苹果旗舰店铺", "'苹'"),
        ("shop_４２", "U\\+FF14"),
    ],
)
def test_account_names_outside_the_rule(name: str, found: str) -> None:
    with pytest.raises(InvalidInputError, match=f"6 to 30 ASCII letters.*{found}") as caught:
        validate_account_name(name)

    assert caught.value.field == "account_name"


@pytest.mark.parametrize(
    "nickname",
    ["苹果", "苹a1", "abcd", "1234", "a" * 30, "苹" * 15, "苹" * 14 + "ab", "㐀𠀀", "〇一"],
)
def test_nicknames_within_the_rule(nickname: str) -> None:
    assert validate_nickname(nickname) == nickname


@pytest.mark.parametrize(
    ("nickname", "found"),
    [
        ("", "found 0"),
        ("abc", "found 3"),
        ("苹a", "found 3"),
        ("苹" * 15 + "a", "found 31"),
        ("a" * 31, "found 31"),
    ],
)
def test_nicknames_of_the_wrong_width(nickname: str, found: str) -> None:
    with pytest.raises(InvalidInputError, match=f"4 to 30 wide.*{found}") as caught:
        validate_nickname(nickname)

    assert caught.value.field == "nickname"


@pytest.mark.parametrize(
    ("nickname", "found"),
    [
        ("苹果 店", "U\\+0020"),
        ("苹果_店", "'_'"),
        ("苹果，店", "'，'"),
        ("苹果😀", "U\\+1F600"),
        ("ａｂｃｄ", "U\\+FF41"),
        ("١٢٣٤", "U\\+0661"),
        ("café", "'é'"),
        ("りんご店", "'り'"),
        ("苹果\u200b", "found U\\+200B"),
        ("苹果\n", "found U\\+000A"),
    ],
)
def test_nicknames_with_other_characters(nickname: str, found: str) -> None:
    with pytest.raises(InvalidInputError, match=f"Chinese characters.*{found}"):
        validate_nickname(nickname)


@given(st.text(min_size=1))
def test_derived_account_names_are_valid_and_repeatable(external_id: str) -> None:
    name = derive_account_name(external_id)

    assert validate_account_name(name) == name
    assert derive_account_name(external_id) == name


def test_a_derived_account_name_never_changes_between_releases() -> None:
    assert derive_account_name("merchant-42") == "m_d7122804afc4755f03767f28f7"


def test_different_ids_give_different_names() -> None:
    ids = ["shop", "Shop", "shop ", "店", "s" * 100, "s" * 101]

    assert len({derive_account_name(one) for one in ids}) == len(ids)


def test_an_empty_id_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="external_id"):
        derive_account_name("")
