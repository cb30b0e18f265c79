"""WeChat's answers as the rules of registration see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    DirectoryEntry,
    OutcomeUnknownError,
    Registration,
    UnreadableEntryError,
)
from wechat_kf.wechat import operations
from wechat_kf.wechat.errors import (
    MalformedReplyError,
    TransportError,
    WeChatApiError,
    api_error,
)
from wechat_kf.wechat.submerchants import SubMerchant

SHOP = Registration("shop_0042", "苹果旗舰店", icon=b"image", transfer_to_commkf=True)
RID = "6114dedc-7e90330d-3fb31e22"
FOUND = SubMerchant("42", "shop_0042", "苹果旗舰店", "https://icon.test")
ENTRY = DirectoryEntry("42", "shop_0042", "苹果旗舰店", "https://icon.test")


class StubClient:
    """`WeChatClient`: answers or raises what a test puts in; keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {"register": "42", "get": FOUND, **answers}
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.asked.append((name, args, kwargs))
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def directory(client: StubClient) -> WeChatDirectory:
    return WeChatDirectory(cast(Any, client))


def test_register_hands_everything_over_and_reads_the_icons_address_back() -> None:
    client = StubClient()
    assert directory(client).register(SHOP, "media") == ENTRY
    assert client.asked == [
        ("register", ("shop_0042", "苹果旗舰店", "media"), {"transfer_to_commkf": True}),
        ("get", (), {"business_id": "42"}),
    ]


@pytest.mark.parametrize(
    "failure",
    [
        MalformedReplyError(operations.GET, "no JSON", http_status=502),
        api_error(45071, "", operations.GET),
        api_error(-1, "", operations.GET),
        TransportError(operations.GET, sent="perhaps", reason="read timeout"),
        UnavailableError("no token"),
    ],
)
def test_a_failure_to_read_back_is_no_failure_to_register(failure: Exception) -> None:
    opened = directory(StubClient(get=failure)).register(SHOP, "media")
    assert opened == DirectoryEntry("42", "shop_0042", "苹果旗舰店", "")


def test_a_taken_name_keeps_wechats_evidence() -> None:
    refusal = api_error(45070, f"taken rid: {RID}", operations.REGISTER)
    with pytest.raises(AccountNameTakenError) as raised:
        directory(StubClient(register=refusal)).register(SHOP, "media")
    assert raised.value.members == {"field": "account_name", "errcode": 45070, "rid": RID}


@pytest.mark.parametrize(
    "failure",
    [
        TransportError(operations.REGISTER, sent="perhaps", reason="read timeout"),
        MalformedReplyError(operations.REGISTER, "no JSON", http_status=502),
    ],
)
def test_what_may_have_been_done_is_an_unknown_outcome(failure: Exception) -> None:
    with pytest.raises(OutcomeUnknownError):
        directory(StubClient(register=failure)).register(SHOP, "media")


def test_what_was_never_sent_stays_a_transport_error() -> None:
    failure = TransportError(operations.REGISTER, sent="never", reason="refused")
    with pytest.raises(TransportError):
        directory(StubClient(register=failure)).register(SHOP, "media")


@pytest.mark.parametrize("method", ["get", "find"])
def test_what_wechat_does_not_know_is_none(method: str) -> None:
    missing = api_error(45071, "", operations.GET)
    assert getattr(directory(StubClient(get=missing)), method)("x") is None


@pytest.mark.parametrize(("method", "key"), [("get", "business_id"), ("find", "account_name")])
def test_one_is_found_by_either_key(method: str, key: str) -> None:
    client = StubClient()
    assert getattr(directory(client), method)("value") == ENTRY
    assert client.asked == [("get", (), {key: "value"})]


def test_other_refusals_pass_through() -> None:
    with pytest.raises(WeChatApiError):
        directory(StubClient(get=api_error(48001, "", operations.GET))).find("shop_0042")


def test_the_list_is_wechats_and_an_icon_may_be_missing() -> None:
    bare = SubMerchant("43", "shop_0043", "香蕉旗舰店")

    def listed() -> Iterator[SubMerchant]:
        yield from (FOUND, bare)

    odd: list[str] = []
    client = StubClient(iter_all=listed())
    assert list(directory(client).list(odd.append)) == [
        ENTRY,
        DirectoryEntry("43", "shop_0043", "香蕉旗舰店", ""),
    ]


def test_update_and_upload_reach_wechat() -> None:
    class Uploaded:
        media_id = "media-1"

    client = StubClient(update=None, upload_image=Uploaded())
    directory(client).update("42", nickname="新名字")
    assert directory(client).upload_icon(b"image") == "media-1"
    assert client.asked == [
        ("update", ("42",), {"nickname": "新名字", "icon_media_id": None}),
        ("upload_image", (b"image",), {}),
    ]


@pytest.mark.parametrize(
    "odd",
    [
        SubMerchant("", "shop_0001", "商店"),
        SubMerchant("0", "shop_0001", "商店"),  # the main account's own id
        SubMerchant("-1", "shop_0001", "商店"),
        SubMerchant("042", "shop_0001", "商店"),
        SubMerchant("4" * 21, "shop_0001", "商店"),
        SubMerchant("４２", "shop_0001", "商店"),
        SubMerchant("42\n", "shop_0001", "商店"),
        SubMerchant("42", "", "商店"),
        SubMerchant("42", "x" * 201, "商店"),
        SubMerchant("42", "shop_0001", "商" * 201),
    ],
)
def test_an_odd_entry_is_reported_and_spoils_no_list(odd: SubMerchant) -> None:
    reported: list[str] = []
    client = StubClient(iter_all=iter([odd, FOUND]), get=odd)
    assert list(directory(client).list(reported.append)) == [ENTRY]
    assert reported == [odd.business_id]
    with pytest.raises(UnreadableEntryError) as raised:
        directory(client).get("42")
    assert raised.value.business_id == odd.business_id


def test_an_answer_that_describes_no_sub_merchant_is_unreadable() -> None:
    malformed = MalformedReplyError(operations.GET, "business_info missing", http_status=200)
    with pytest.raises(UnreadableEntryError) as raised:
        directory(StubClient(get=malformed)).get("42")
    assert (raised.value.business_id, raised.value.code) == ("42", "malformed_reply")


def test_what_does_not_identify_a_merchant_may_be_odd() -> None:
    bare = SubMerchant("42", "shop_0042", "", "x" * 2_001)
    longest = SubMerchant("43", "x" * 200, "商" * 200, "x" * 2_000)
    client = StubClient(iter_all=iter([bare, longest]))
    assert list(directory(client).list(lambda business_id: None)) == [
        DirectoryEntry("42", "shop_0042", "", ""),
        DirectoryEntry("43", "x" * 200, "商" * 200, "x" * 2_000),
    ]
