"""Two layers: HTTP and errcode. What counts as success, refusal and no answer."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from tests.unit.wechat.client_loopback import LoopbackWeChat, Reply, json_reply
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import (
    MalformedReplyError,
    Retry,
    TransportError,
    WeChatApiError,
)
from wechat_kf.wechat.messages import Text
from wechat_kf.wechat.transport import MAX_REPLY_BYTES

SEND = "/cgi-bin/message/custom/send"
SEND_AS = "/cgi-bin/message/custom/business/send"
TYPING = "/cgi-bin/message/custom/business/typing"
UPDATE = "/cgi-bin/business/update"
GET = "/cgi-bin/business/get"


def send(client: WeChatClient) -> None:
    client.send("oOPENID", Text("x"))


INFO = {"business_id": 7, "account_name": "shop_0007", "nickname": "苹果"}


@pytest.mark.parametrize(
    "document",
    [{}, {"errcode": 0, "errmsg": "ok"}, {"errcode": "0"}, {"errmsg": "ok"}],
)
def test_of_a_read_errcode_absent_or_zero_is_success(
    wechat: LoopbackWeChat, client: WeChatClient, document: dict[str, object]
) -> None:
    wechat.answer(GET, json_reply({**document, "business_info": INFO}))

    assert client.get(business_id="7").nickname == "苹果"


DEEDS: dict[str, Callable[[WeChatClient], object]] = {
    SEND: lambda client: client.send("oOPENID", Text("x")),
    SEND_AS: lambda client: client.send("oOPENID", Text("x"), business_id="7"),
    TYPING: lambda client: client.typing("oOPENID"),
    UPDATE: lambda client: client.update("7", nickname="苹果旗舰店"),
}


@pytest.mark.parametrize("path", DEEDS)
@pytest.mark.parametrize(
    "document",
    [
        {},
        {"errmsg": "ok"},
        {"code": 403, "msg": "blocked by proxy"},
        {"error": "upstream timeout"},
        {"message": "Internal server error"},
        {"errcode": "0"},
        {"errcode": 0.0},
        {"errcode": -0.0},
        {"errcode": 0.9},
        {"errcode": -0.5},
        {"errcode": 1.5},
        {"errcode": False},
        {"errcode": True},
        {"errcode": None},
        {"errcode": ""},
        {"errcode": []},
        {"errcode": {"errcode": 0}},
        {"Errcode": 0},
    ],
    ids=str,
)
def test_nothing_is_done_that_wechat_does_not_confirm(
    wechat: LoopbackWeChat, client: WeChatClient, path: str, document: dict[str, object]
) -> None:
    wechat.answer(path, json_reply(document))

    with pytest.raises(MalformedReplyError) as caught:
        DEEDS[path](client)

    assert caught.value.sent == "perhaps"


@pytest.mark.parametrize("path", DEEDS)
def test_the_errcode_0_confirms(wechat: LoopbackWeChat, client: WeChatClient, path: str) -> None:
    wechat.answer(path, json_reply({"errcode": 0, "errmsg": "ok"}))

    DEEDS[path](client)


@pytest.mark.parametrize("status", [404, 405, 413, 414, 429, 431])
def test_what_was_turned_away_was_certainly_not_sent(
    wechat: LoopbackWeChat, client: WeChatClient, status: int
) -> None:
    wechat.answer(SEND, Reply(b"<html>", status=status))

    with pytest.raises(MalformedReplyError) as caught:
        send(client)

    assert (caught.value.sent, caught.value.retry) == ("never", Retry.NEVER)


CONTROLS = [chr(code) for code in range(32)]


@pytest.mark.parametrize("odd", [*CONTROLS, "\x7f", "\ufffe", "\u2028"], ids=ascii)
def test_an_odd_character_in_errmsg_hides_nothing(
    wechat: LoopbackWeChat, client: WeChatClient, odd: str
) -> None:
    errmsg = f"response out of time limit{odd} rid: 6114dedc-7e90330d-3fb31e22"
    wechat.answer(SEND, Reply(b'{"errcode":45015,"errmsg":"%b"}' % errmsg.encode()))

    with pytest.raises(WeChatApiError) as caught:
        send(client)

    assert (caught.value.errcode, caught.value.rid) == (45015, "6114dedc-7e90330d-3fb31e22")


@pytest.mark.parametrize("odd", CONTROLS, ids=ascii)
def test_an_odd_character_in_a_nickname_spoils_no_list(
    wechat: LoopbackWeChat, client: WeChatClient, odd: str
) -> None:
    entry = '{"business_id":%d,"account_name":"shop_000%d","nickname":"苹%s果"}'
    entries = ",".join((entry % (7, 7, odd), entry % (8, 8, "")))
    wechat.answer("/cgi-bin/business/list", Reply(f'{{"list":[{entries}]}}'.encode()))

    assert [found.nickname for found in client.list_page()] == [f"苹{odd}果", "苹果"]


BOM = b"\xef\xbb\xbf"
OK = b'{"errcode":0,"errmsg":"ok"}'


@pytest.mark.parametrize("body", [BOM + OK, BOM + b"\r\n" + OK, b" \n" + OK + b"\n"])
def test_marks_and_blanks_around_an_answer(
    wechat: LoopbackWeChat, client: WeChatClient, body: bytes
) -> None:
    wechat.answer(SEND, Reply(body))

    send(client)


def test_an_error_behind_a_mark_is_not_a_file(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer("/cgi-bin/media/get", Reply(BOM + b'{"errcode":40007,"errmsg":"invalid"}'))

    with pytest.raises(WeChatApiError) as caught:
        client.download("M1")

    assert caught.value.errcode == 40007


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(OK)), ("deflate", zlib.compress(OK))],
    ids=["gzip", "deflate"],  # gzip writes the time, and two workers must agree on the name
)
def test_compression_that_nobody_asked_for_is_read(
    wechat: LoopbackWeChat, client: WeChatClient, encoding: str, body: bytes
) -> None:
    wechat.answer(SEND, Reply(body, headers={"Content-Encoding": encoding}))

    send(client)

    assert wechat.last.headers["Accept-Encoding"] == "identity"


def test_a_compressed_answer_cannot_swell_beyond_the_bound(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    bomb = gzip.compress(bytes(MAX_REPLY_BYTES + 1))
    wechat.answer(SEND, Reply(bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(MalformedReplyError, match="too large"):
        send(client)


def test_what_cannot_be_unpacked_is_no_answer(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer(SEND, Reply(OK, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(TransportError) as caught:
        send(client)

    assert caught.value.sent == "perhaps"


@pytest.mark.parametrize("errcode", [45015, "45015", 45015.0])
def test_errcode_is_read_as_a_number_whatever_its_type(
    wechat: LoopbackWeChat, client: WeChatClient, errcode: object
) -> None:
    wechat.answer(SEND, json_reply({"errcode": errcode, "errmsg": "late rid: 1-2-3"}))

    with pytest.raises(WeChatApiError) as caught:
        send(client)

    assert (caught.value.errcode, caught.value.rid) == (45015, "1-2-3")


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "text/plain; charset=gbk", "application/json; encoding=utf-8", "image/jpeg"],
)
def test_replies_are_utf8_json_whatever_their_content_type(
    wechat: LoopbackWeChat, client: WeChatClient, content_type: str
) -> None:
    wechat.answer(GET, json_reply({"business_info": INFO}, content_type=content_type))

    assert client.get(business_id="7").nickname == "苹果"


def test_a_mangled_errmsg_does_not_hide_the_errcode(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    wechat.answer(SEND, Reply(b'{"errcode":45047,"errmsg":"\xe8\xb6"}'))

    with pytest.raises(WeChatApiError) as caught:
        send(client)

    assert caught.value.code == "allowance_used_up"


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 408, 412, 500, 502, 503])
def test_another_status_is_no_answer_of_the_api(
    wechat: LoopbackWeChat, client: WeChatClient, status: int
) -> None:
    body = b"" if status == 204 else b'{"errcode":0}'
    wechat.answer(SEND, Reply(body, status=status))

    with pytest.raises(MalformedReplyError) as caught:
        send(client)

    assert caught.value.http_status == status
    assert (caught.value.sent, caught.value.retry) == ("perhaps", Retry.NEVER)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"null",
        b"0",
        b'{"errcode":0',
        b'{"errcode":null}',
        b'{"errcode":"x"}',
        b'{"errcode":[]}',
        b'{"errcode":1e999}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:20].decode(),
)
def test_anything_but_a_json_object_is_malformed(
    wechat: LoopbackWeChat, client: WeChatClient, body: bytes
) -> None:
    wechat.answer(SEND, Reply(body))

    with pytest.raises(MalformedReplyError) as caught:
        send(client)

    assert (caught.value.http_status, caught.value.sent) == (200, "perhaps")


def test_a_malformed_reply_to_a_read_may_be_read_again(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    wechat.answer(GET, Reply(b"<html>"))

    with pytest.raises(MalformedReplyError) as caught:
        client.get(business_id="7")

    assert caught.value.retry is Retry.BACKOFF
