"""The buyer's side and the pushes: docs/wechat-api.md, sections 7 and 8."""

import base64
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import defusedxml.ElementTree as SafeTree
import pytest

from tests.unit.simulator.simulator_loopback import BUYER, NOW, Receiver, Simulator
from wechat_kf.wechat.crypto import BodyFormat, FrameCipher, Seal, seal_reply, sign_parts
from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener
from wechat_kf_local.png import plain_png
from wechat_kf_local.simulator.settings import Settings

DEFAULT = Settings()
CIPHER = FrameCipher(DEFAULT.encoding_aes_key, DEFAULT.app_id)
UNAVAILABLE = "该小程序客服暂时无法提供服务，请稍后再试"
TRANSFER = "<xml><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"


def fields(body: bytes) -> dict[str, Any]:
    """A push's fields; XML is read with everything as text."""
    if body.startswith(b"{"):
        return dict(json.loads(body))
    return {item.tag: item.text for item in SafeTree.fromstring(body)}


def opened(request: dict[str, Any]) -> dict[str, Any]:
    """The fields inside an encrypted push, once its signatures have been verified."""
    query, encrypt = request["query"], fields(request["body"])["Encrypt"]
    parts = (DEFAULT.token, query["timestamp"], query["nonce"])
    assert query["signature"] == sign_parts(*parts)
    assert query["msg_signature"] == sign_parts(*parts, encrypt)
    return fields(CIPHER.decrypt(encrypt))


@pytest.fixture
def shop(simulator: Simulator) -> Simulator:
    simulator.merchant()
    return simulator


@pytest.mark.parametrize("form", ["xml", "json"])
def test_a_secure_push_shows_nothing_but_the_account(
    shop: Simulator, receiver: Receiver, form: str
) -> None:
    shop.buyer("text", business_id="1", content="在吗 😊", format=form)
    (request,) = receiver.requests
    assert fields(request["body"]).keys() == {"ToUserName", "Encrypt"}
    assert request["query"].keys() == {
        *("signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature")
    }
    assert (request["query"]["openid"], request["query"]["encrypt_type"]) == (BUYER, "aes")
    push = opened(request)
    assert (push["FromUserName"], push["Content"]) == (BUYER, "在吗 😊")


@pytest.mark.parametrize("form", ["xml", "json"])
@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
def test_the_bundles_own_receiver_opens_every_push(
    shop: Simulator, receiver: Receiver, mode: str, form: str
) -> None:
    keys = PushKeys(DEFAULT.token, DEFAULT.encoding_aes_key)
    opener = PushOpener(app_id=DEFAULT.app_id, mode=PushMode(mode), keys=[keys])
    typed = "<在吗> & 😊 ]]></Content><BusinessId>2</BusinessId><Content><![CDATA[\x08"
    outcome = shop.buyer("text", business_id="1", content=typed, mode=mode, format=form)
    push = opener.open(receiver.requests[0]["body"], receiver.requests[0]["query"])
    assert (push.message_id, push.business_id) == (outcome["msg_id"], "1")
    assert push.content["content"] == typed.replace("\x08", "\ufffd")


@pytest.mark.parametrize("form", ["xml", "json"])
def test_a_compatible_push_has_the_fields_twice(
    shop: Simulator, receiver: Receiver, form: str
) -> None:
    shop.buyer("text", business_id="1", content="在吗", mode="compatible", format=form)
    (request,) = receiver.requests
    plain = fields(request["body"])
    inside = opened(request)
    assert plain.pop("Encrypt")
    assert plain == inside


def test_a_plain_push_is_only_signed(shop: Simulator, receiver: Receiver) -> None:
    shop.configure(openid_in_plain_query=False)
    shop.buyer("text", business_id="1", content="在吗", mode="plain")
    (request,) = receiver.requests
    query = request["query"]
    assert query.keys() == {"signature", "timestamp", "nonce"}
    assert query["signature"] == sign_parts(DEFAULT.token, query["timestamp"], query["nonce"])
    assert fields(request["body"])["Content"] == "在吗"


def test_xml_has_texts_in_cdata_and_numbers_bare(shop: Simulator, receiver: Receiver) -> None:
    outcome = shop.buyer("text", business_id="1", content="a<b>", mode="plain", format="xml")
    body = receiver.requests[0]["body"].decode()
    assert "<MsgType><![CDATA[text]]></MsgType>" in body
    assert f"<MsgId>{outcome['msg_id']}</MsgId>" in body
    assert "<BusinessId>1</BusinessId>" in body
    assert fields(body.encode())["Content"] == "a<b>"


@pytest.mark.parametrize("mode", ["plain", "compatible"])
def test_texts_are_written_into_xml_as_they_are(
    shop: Simulator, receiver: Receiver, mode: str
) -> None:
    typed = "a]]></Content><MsgId>1</MsgId>\x08\ufffe"
    shop.buyer("text", business_id="1", content=typed, mode=mode, format="xml")
    assert f"<Content><![CDATA[{typed}]]></Content>".encode() in receiver.requests[0]["body"]


def test_json_escapes_no_control_character_but_line_breaks(
    shop: Simulator, receiver: Receiver
) -> None:
    typed = 'a\x08"b"\\\n'
    shop.buyer("text", business_id="1", content=typed, mode="plain", format="json")
    body = receiver.requests[0]["body"]
    assert b'"Content":"a\x08\\"b\\"\\\\\\n"' in body
    assert json.loads(body, strict=False)["Content"] == typed


def test_json_has_numbers_and_raw_utf8(shop: Simulator, receiver: Receiver) -> None:
    outcome = shop.buyer("text", business_id="1", content="在吗", mode="plain", format="json")
    body = receiver.requests[0]["body"]
    assert "在吗".encode() in body
    assert fields(body) == {
        "ToUserName": DEFAULT.original_id,
        "FromUserName": BUYER,
        "CreateTime": int(NOW),
        "MsgType": "text",
        "Content": "在吗",
        "MsgId": int(outcome["msg_id"]),
        "BusinessId": 1,
    }


def test_message_ids_are_beyond_what_a_float_can_hold(shop: Simulator) -> None:
    ids = [int(shop.buyer("text", content="a")["msg_id"]) for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(2**53 < number < 2**63 for number in ids)


def test_entering_is_an_event_without_message_id(shop: Simulator, receiver: Receiver) -> None:
    shop.configure(mode="plain", format="json")
    outcome = shop.buyer("enter", business_id="1", session_from="商品 42")
    push = fields(receiver.requests[0]["body"])
    assert outcome["msg_id"] is None
    assert "MsgId" not in push
    assert (push["MsgType"], push["Event"]) == ("event", "user_enter_tempsession")
    assert (push["SessionFrom"], push["BusinessId"]) == ("商品 42", 1)


def test_session_from_is_cut_to_1000_bytes(shop: Simulator, receiver: Receiver) -> None:
    shop.buyer("enter", business_id="1", session_from="好" * 400)
    assert opened(receiver.requests[0])["SessionFrom"] == "好" * 333


@pytest.mark.parametrize(("spelling", "expected"), [("absent", None), ("zero", 0), ("empty", "")])
def test_the_main_account_can_be_spelled_in_three_ways(
    shop: Simulator, receiver: Receiver, spelling: str, expected: Any
) -> None:
    shop.configure(main_account_business_id=spelling, format="json")
    shop.buyer("text", content="在吗")
    assert opened(receiver.requests[0]).get("BusinessId") == expected


def test_an_image_can_be_seen_and_fetched(shop: Simulator, receiver: Receiver) -> None:
    picture = plain_png(side=2)
    shop.buyer("image", business_id="1", image_base64=base64.b64encode(picture).decode())
    push = opened(receiver.requests[0])
    assert push["MsgType"] == "image"
    assert shop.call("/cgi-bin/media/get", media_id=push["MediaId"]).content == picture
    assert shop.http.get(push["PicUrl"], timeout=5).content == picture


def test_a_card_may_lack_its_picture(shop: Simulator, receiver: Receiver) -> None:
    shop.configure(format="json")
    shop.buyer("card", business_id="1", title="外套", page_path="pages/x?id=1")
    shop.buyer("card", business_id="1", thumb=False)
    full, bare = (opened(request) for request in receiver.requests)
    assert (full["MsgType"], full["Title"]) == ("miniprogrampage", "外套")
    assert (full["AppId"], full["PagePath"]) == (DEFAULT.app_id, "pages/x?id=1")
    assert shop.http.get(full["ThumbUrl"], timeout=5).content.startswith(b"\x89PNG")
    assert shop.call("/cgi-bin/media/get", media_id=full["ThumbMediaId"]).content
    assert (bare["ThumbUrl"], bare["ThumbMediaId"]) == ("", "")


def test_types_nobody_documented_can_be_played(shop: Simulator, receiver: Receiver) -> None:
    own = {"MsgType": "event", "Event": "debug_demo", "debug_str": "hello"}
    assert shop.buyer("other", fields=own)["accepted"] is True
    push = opened(receiver.requests[0])
    assert (push["Event"], push["debug_str"]) == ("debug_demo", "hello")


@pytest.mark.parametrize("body", [b"success", b""])
def test_success_and_an_empty_body_are_good_answers(
    shop: Simulator, receiver: Receiver, body: bytes
) -> None:
    receiver.answer = lambda _request: (200, body)
    outcome = shop.buyer("text", business_id="1", content="在吗")
    assert outcome["accepted"] is True
    (attempt,) = outcome["attempts"]
    assert (attempt["status"], attempt["body"]) == (200, body.decode())


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"SUCCESS"), (200, b'"success"'), (500, b"success"), (204, b"")]
)
def test_anything_else_is_tried_three_times_and_told_to_the_buyer(
    shop: Simulator, receiver: Receiver, status: int, body: bytes
) -> None:
    receiver.answer = lambda _request: (status, body)
    outcome = shop.buyer("text", business_id="1", content="在吗")
    assert outcome["accepted"] is False
    assert [attempt["status"] for attempt in outcome["attempts"]] == [status] * 3
    assert [item["text"] for item in shop.phone()[0]["messages"]] == ["在吗", UNAVAILABLE]


def test_a_try_that_succeeds_ends_the_tries(shop: Simulator, receiver: Receiver) -> None:
    receiver.answer = lambda _request: (500 if len(receiver.requests) < 2 else 200, b"")
    outcome = shop.buyer("text", business_id="1", content="在吗")
    assert [attempt["status"] for attempt in outcome["attempts"]] == [500, 200]
    assert outcome["accepted"] is True


def test_tries_are_the_same_to_the_byte(shop: Simulator, receiver: Receiver) -> None:
    receiver.answer = lambda _request: (500, b"")
    shop.buyer("text", content="在吗")
    assert len({(request["query"]["nonce"], request["body"]) for request in receiver.requests}) == 1


def test_tries_may_be_signed_anew(shop: Simulator, receiver: Receiver) -> None:
    shop.configure(retry_reuses_signature=False)
    receiver.answer = lambda _request: (500, b"")
    shop.buyer("text", content="在吗")
    assert len({request["query"]["nonce"] for request in receiver.requests}) == 3
    assert len({opened(request)["MsgId"] for request in receiver.requests}) == 1


def test_without_a_push_url_nothing_is_pushed(shop: Simulator) -> None:
    shop.configure(push_url="")
    outcome = shop.buyer("text", content="在吗")
    assert (outcome["accepted"], outcome["attempts"]) == (None, [])


def sealed(text: str, *, token: str = DEFAULT.token) -> bytes:
    seal = Seal(token, CIPHER)
    return seal_reply(seal, text, timestamp=1, nonce="n", format=BodyFormat.XML).encode()


@pytest.mark.parametrize(
    ("mode", "reply", "verdict"),
    [
        ("plain", TRANSFER.encode(), "transfer"),
        ("compatible", TRANSFER.encode(), "transfer"),
        ("compatible", sealed(TRANSFER), "transfer"),
        ("secure", sealed(TRANSFER), "transfer"),
        ("secure", b'{"MsgType":"transfer_customer_service"}', "bad"),
        ("secure", sealed(TRANSFER, token="another"), "bad"),
        ("secure", sealed("<xml><MsgType>text</MsgType></xml>"), "bad"),
        ("plain", b'{"MsgType":"transfer_customer_service"}', "transfer"),
    ],
)
def test_a_transfer_must_be_encrypted_in_secure_mode(
    shop: Simulator, receiver: Receiver, mode: str, reply: bytes, verdict: str
) -> None:
    receiver.answer = lambda _request: (200, reply)
    assert shop.buyer("text", content="在吗", mode=mode)["verdict"] == verdict


def test_a_transferred_conversation_comes_back_after_thirty_minutes(
    shop: Simulator, receiver: Receiver
) -> None:
    receiver.answer = lambda _request: (200, sealed(TRANSFER))
    shop.buyer("text", content="在吗")
    assert shop.buyer("text", content="人工")["transferred"] is True
    assert len(receiver.requests) == 1
    assert shop.phone()[0]["transferred"] is True
    shop.advance(30 * 60)
    shop.buyer("text", content="还在吗")
    assert len(receiver.requests) == 2


def test_an_event_cannot_be_transferred(shop: Simulator, receiver: Receiver) -> None:
    receiver.answer = lambda _request: (200, sealed(TRANSFER))
    assert shop.buyer("enter")["accepted"] is False


def test_a_duplicate_is_the_same_message_twice(shop: Simulator, receiver: Receiver) -> None:
    shop.fault(kind="duplicate", times=1)
    shop.buyer("text", content="一")
    shop.buyer("text", content="二")
    shop.control("POST", "/idle")
    contents = sorted(opened(request)["Content"] for request in receiver.requests)
    assert contents == ["一", "一", "二"]
    assert len({opened(request)["MsgId"] for request in receiver.requests}) == 2


def test_a_reordered_push_comes_after_the_next_one(shop: Simulator, receiver: Receiver) -> None:
    shop.fault(kind="reorder", times=1)
    assert shop.buyer("text", content="一")["held"] is True
    shop.buyer("text", content="二")
    shop.control("POST", "/idle")
    assert [opened(request)["Content"] for request in receiver.requests] == ["二", "一"]


def test_a_reordered_push_that_nobody_overtakes_goes_in_the_end(
    shop: Simulator, receiver: Receiver
) -> None:
    shop.configure(reorder_hold_seconds=0.01)
    shop.fault(kind="reorder", times=1)
    shop.buyer("text", content="一")
    shop.control("POST", "/idle")
    assert len(receiver.requests) == 1


def test_push_faults_can_be_meant_for_one_buyer(shop: Simulator, receiver: Receiver) -> None:
    shop.fault(kind="duplicate", openid="oOther")
    shop.buyer("text", content="一")
    shop.buyer("text", openid="oOther", content="二")
    shop.control("POST", "/idle")
    assert len(receiver.requests) == 3


def test_one_need_not_wait_for_the_answer(shop: Simulator, receiver: Receiver) -> None:
    go = threading.Event()

    def held(_request: dict[str, Any]) -> tuple[int, bytes]:
        go.wait(1)
        return 200, b""

    receiver.answer = held
    outcome = shop.buyer("text", content="在吗", wait=False)
    assert outcome["accepted"] is None
    go.set()
    shop.control("POST", "/idle")
    assert shop.control("GET", "/pushes")["items"][0]["accepted"] is True


def test_a_recorded_push_can_be_replayed(shop: Simulator, receiver: Receiver) -> None:
    shop.buyer("text", content="在吗")
    recorded = shop.control("GET", "/pushes")["items"][0]["request"]
    shop.control("POST", "/push-raw", recorded)
    first, second = receiver.requests
    assert (first["query"], first["body"]) == (second["query"], second["body"])


@pytest.mark.parametrize(
    ("answer", "verified"),
    [
        (lambda request: (200, request["query"]["echostr"].encode()), True),
        (lambda request: (200, f'"{request["query"]["echostr"]}"'.encode()), False),
        (lambda _request: (200, b"success"), False),
    ],
    ids=["echoed", "quoted", "something else"],
)
def test_the_url_is_verified_by_its_echo(
    shop: Simulator,
    receiver: Receiver,
    answer: Callable[[dict[str, Any]], tuple[int, bytes]],
    verified: bool,
) -> None:
    receiver.answer = answer
    assert shop.control("POST", "/verify-url")["verified"] is verified
    query = receiver.requests[0]["query"]
    assert query["signature"] == sign_parts(DEFAULT.token, query["timestamp"], query["nonce"])
    assert re.fullmatch(r"\d+", query["echostr"])
