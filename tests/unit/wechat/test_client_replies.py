"""Two layers: HTTP and errcode. What counts as success, refusal and no answer."""

import pytest

from tests.unit.wechat.client_loopback import LoopbackWeChat, Reply, json_reply
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import MalformedReplyError, Retry, WeChatApiError
from wechat_kf.wechat.messages import Text

SEND = "/cgi-bin/message/custom/send"
GET = "/cgi-bin/business/get"


def send(client: WeChatClient) -> None:
    client.send("oOPENID", Text("x"))


@pytest.mark.parametrize(
    "document",
    [{}, {"errcode": 0, "errmsg": "ok"}, {"errcode": "0"}, {"errmsg": "ok"}],
)
def test_errcode_absent_or_zero_is_success(
    wechat: LoopbackWeChat, client: WeChatClient, document: dict[str, object]
) -> None:
    wechat.answer(SEND, json_reply(document))

    send(client)


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
    info = {"business_id": 7, "account_name": "shop_0007", "nickname": "苹果"}
    wechat.answer(GET, json_reply({"business_info": info}, content_type=content_type))

    assert client.get(business_id="7").nickname == "苹果"


def test_a_mangled_errmsg_does_not_hide_the_errcode(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    wechat.answer(SEND, Reply(b'{"errcode":45047,"errmsg":"\xe8\xb6"}'))

    with pytest.raises(WeChatApiError) as caught:
        send(client)

    assert caught.value.code == "allowance_used_up"


@pytest.mark.parametrize("status", [201, 204, 301, 404, 412, 500, 502, 503])
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
