"""Who may send what, and to whom: docs/wechat-api.md, sections 4 and 5."""

from typing import Any

import pytest

from tests.unit.simulator.simulator_loopback import BUYER, Simulator

SEND = "/cgi-bin/message/custom/send"
SEND_AS_SUB_MERCHANT = "/cgi-bin/message/custom/business/send"
OK = {"errcode": 0, "errmsg": "ok"}


@pytest.fixture
def chat(simulator: Simulator) -> Simulator:
    """A buyer has written to sub-merchant 1 and to the main account."""
    simulator.merchant()
    simulator.buyer("text", business_id="1", content="在吗")
    simulator.buyer("text", content="在吗")
    return simulator


def send_type(chat: Simulator, msgtype: str, content: Any, **envelope: Any) -> dict[str, Any]:
    document = {"touser": BUYER, "businessid": 1, "msgtype": msgtype, msgtype: content} | envelope
    return chat.api(SEND_AS_SUB_MERCHANT, document)


def typing(simulator: Simulator, command: str = "Typing", **changes: Any) -> int:
    document = {"touser": BUYER, "command": command, "businessid": 1} | changes
    return int(simulator.api("/cgi-bin/message/custom/business/typing", document)["errcode"])


def shown(simulator: Simulator, business_id: str) -> list[str]:
    """The texts the merchant sent, as the phone shows them in one conversation."""
    found = next(item for item in simulator.phone() if item["business_id"] == business_id)
    return [item["text"] for item in found["messages"] if item["sender"] == "merchant"]


def test_a_text_is_shown_under_its_sub_merchant(chat: Simulator) -> None:
    assert chat.send("有货 🎁", businessid=1) == OK
    assert chat.send("main", businessid="1") == OK  # the id as digits is in use, too
    assert shown(chat, "1") == ["有货 🎁", "main"]
    assert shown(chat, "0") == []


def test_without_a_business_id_the_main_account_sends(chat: Simulator) -> None:
    assert chat.send("您好") == OK
    assert shown(chat, "0") == ["您好"]


def test_the_shared_path_takes_a_business_id_as_well(chat: Simulator) -> None:
    document = {"touser": BUYER, "businessid": 1, "msgtype": "text", "text": {"content": "a"}}
    assert chat.api(SEND, document) == OK
    assert shown(chat, "1") == ["a"]


def test_the_sub_merchants_path_needs_a_business_id(chat: Simulator) -> None:
    document = {"touser": BUYER, "msgtype": "text", "text": {"content": "a"}}
    assert chat.api(SEND_AS_SUB_MERCHANT, document)["errcode"] == 40101


def test_a_business_must_exist(chat: Simulator) -> None:
    assert chat.send(businessid=2)["errcode"] == 45071
    assert chat.send(businessid="one")["errcode"] == 45071


@pytest.mark.parametrize("openid", ["oStranger", "", None, 7])
def test_an_unknown_openid_is_refused(chat: Simulator, openid: Any) -> None:
    assert chat.send(touser=openid)["errcode"] == 40003
    assert typing(chat, touser=openid) == 40003


def test_texts_are_measured_in_utf8_bytes(chat: Simulator) -> None:
    assert chat.send("")["errcode"] == 44004
    assert chat.send("好" * 682 + "ab") == OK
    assert chat.send("好" * 683)["errcode"] == 45002
    chat.configure(max_text_bytes=3)
    assert chat.send("abcd")["errcode"] == 45002


def test_an_image_must_be_uploaded_and_alive(chat: Simulator) -> None:
    media_id = chat.upload()["media_id"]
    assert send_type(chat, "image", {"media_id": media_id}) == OK
    assert send_type(chat, "image", {"media_id": "nothing"})["errcode"] == 40007
    voice = chat.upload(b"voice", kind="voice")["media_id"]
    assert send_type(chat, "image", {"media_id": voice})["errcode"] == 40004


def test_a_buyers_image_can_be_fetched_and_sent_back(chat: Simulator) -> None:
    chat.buyer("image", business_id="1")
    media_id = chat.phone()[0]["messages"][-1]["content"]["media_id"]
    assert chat.call("/cgi-bin/media/get", media_id=media_id).headers["Content-Type"] == "image/png"
    assert send_type(chat, "image", {"media_id": media_id}) == OK


LINK = {"title": "t", "description": "d", "url": "https://a", "thumb_url": "https://b"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"title": "t" * 65}, 45003),
        ({"description": "d" * 129}, 45004),
        ({"url": "u" * 2049}, 45005),
        ({"thumb_url": "u" * 2049}, 45006),
        ({"title": ""}, 40101),
        ({"url": 7}, 47001),
    ],
)
def test_links_are_checked(chat: Simulator, change: dict[str, Any], expected: int) -> None:
    assert send_type(chat, "link", LINK | change)["errcode"] == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0),
        ({"appid": "wx0123456789abcdef"}, 0),
        ({"appid": "wx9999999999999999"}, 40013),
        ({"thumb_media_id": "nothing"}, 40007),
        ({"pagepath": ""}, 40101),
        ({"title": "t" * 65}, 45003),
    ],
)
def test_cards_are_checked(chat: Simulator, change: dict[str, Any], expected: int) -> None:
    thumb = chat.upload()["media_id"]
    card = {"title": "t", "pagepath": "pages/index/index", "thumb_media_id": thumb} | change
    assert send_type(chat, "miniprogrampage", card)["errcode"] == expected


def test_menus_can_be_switched_off(chat: Simulator) -> None:
    menu = {"head_content": "h", "list": [{"id": "1", "content": "yes"}], "tail_content": "t"}
    assert send_type(chat, "msgmenu", menu) == OK
    assert send_type(chat, "msgmenu", menu | {"list": []})["errcode"] == 40101
    chat.configure(allow_msgmenu=False)
    assert send_type(chat, "msgmenu", menu)["errcode"] == 48008


@pytest.mark.parametrize(("msgtype", "expected"), [("voice", 48008), ("hologram", 40008)])
def test_other_types_are_refused(chat: Simulator, msgtype: str, expected: int) -> None:
    assert send_type(chat, msgtype, {"media_id": "1"})["errcode"] == expected


def test_the_message_object_must_be_there(chat: Simulator) -> None:
    document = {"touser": BUYER, "msgtype": "text"}
    assert chat.api(SEND, document)["errcode"] == 40101
    assert chat.api(SEND, document | {"text": "a"})["errcode"] == 47001


def test_ai_content_is_marked_on_the_phone(chat: Simulator) -> None:
    assert chat.send("a", businessid=1, aimsgcontext={"is_ai_msg": 1}) == OK
    assert chat.phone()[0]["messages"][-1]["ai_generated"] is True
    assert chat.send("a", aimsgcontext={"is_ai_msg": "yes"})["errcode"] == 47001


def test_a_buyer_who_never_wrote_cannot_be_written_to(simulator: Simulator) -> None:
    simulator.control("POST", "/buyers", {"openid": BUYER})
    assert simulator.send()["errcode"] == 45015


def test_typing_without_a_business_id_is_the_main_accounts(chat: Simulator) -> None:
    document = {"touser": BUYER, "command": "Typing"}
    assert chat.api("/cgi-bin/message/custom/business/typing", document) == OK
    assert [item["business_id"] for item in chat.phone() if item["typing"]] == ["0"]


def test_typing_is_refused_for_an_unknown_business(chat: Simulator) -> None:
    assert typing(chat, businessid=9) == 45071


def test_typing_needs_an_allowance_that_is_not_used_up(chat: Simulator) -> None:
    for _ in range(5):
        chat.send(businessid=1)
    assert typing(chat) == 45047
