"""The calls that take the AppSecret, and what happens when a token is refused."""

import pytest

from tests.unit.wechat.client_loopback import (
    FixedTokens,
    LoopbackWeChat,
    error_reply,
    json_reply,
)
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import (
    AddressNotAllowedError,
    MalformedReplyError,
    Retry,
    TokenRefusedError,
    WeChatApiError,
)
from wechat_kf.wechat.messages import Text
from wechat_kf.wechat.tokens import IssuedToken, stable_token
from wechat_kf.wechat.transport import Transport

SEND = "/cgi-bin/message/custom/send"
REFUSALS = [40001, 40014, 41001, 42001]


def used_tokens(wechat: LoopbackWeChat) -> list[str]:
    return [request.query["access_token"] for request in wechat.received]


@pytest.mark.parametrize("force", [False, True])
def test_stable_token(wechat: LoopbackWeChat, transport: Transport, force: bool) -> None:
    issued = stable_token(transport, app_id="wx1", app_secret="S", force_refresh=force)

    assert issued == IssuedToken("ISSUED-STABLE-TOKEN", 7200)
    assert (wechat.last.method, wechat.last.path) == ("POST", "/cgi-bin/stable_token")
    assert wechat.last.query == {}
    assert wechat.last.json == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": "S",
        "force_refresh": force,
    }


def test_a_token_of_512_characters_and_more_is_kept_whole(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    wechat.answer(
        "/cgi-bin/stable_token", json_reply({"access_token": "t" * 1024, "expires_in": "300"})
    )

    issued = stable_token(transport, app_id="wx1", app_secret="S")

    assert issued == IssuedToken("t" * 1024, 300)


@pytest.mark.parametrize(
    "document", [{}, {"access_token": "t"}, {"expires_in": 7200}, {"access_token": ""}]
)
def test_an_incomplete_token_is_no_token(
    wechat: LoopbackWeChat, transport: Transport, document: dict[str, object]
) -> None:
    wechat.answer("/cgi-bin/stable_token", json_reply(document))

    with pytest.raises(MalformedReplyError):
        stable_token(transport, app_id="wx1", app_secret="S")


def test_a_refused_address_is_named_for_the_operator(
    wechat: LoopbackWeChat, transport: Transport
) -> None:
    message = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 1-2-3"
    wechat.answer("/cgi-bin/stable_token", error_reply(40164, message))

    with pytest.raises(AddressNotAllowedError) as caught:
        stable_token(transport, app_id="wx1", app_secret="S")

    assert caught.value.address == "203.0.113.9"


def test_a_refused_secret_is_final(wechat: LoopbackWeChat, transport: Transport) -> None:
    wechat.answer("/cgi-bin/stable_token", error_reply(40001))

    with pytest.raises(WeChatApiError) as caught:
        stable_token(transport, app_id="wx1", app_secret="S")

    assert (caught.value.status, caught.value.retry) == (500, Retry.NEVER)
    assert len(wechat.received) == 1


# Refused tokens on business calls


@pytest.mark.parametrize("errcode", REFUSALS)
def test_a_refused_token_is_replaced_once(
    wechat: LoopbackWeChat, client: WeChatClient, tokens: FixedTokens, errcode: int
) -> None:
    wechat.answer(SEND, error_reply(errcode))

    client.send("oOPENID", Text("x"))

    assert used_tokens(wechat) == ["ACCESS-TOKEN-1", "ACCESS-TOKEN-2"]
    assert wechat.received[0].body == wechat.received[1].body
    assert tokens.refusals == ["ACCESS-TOKEN-1"]


@pytest.mark.parametrize("errcode", REFUSALS)
def test_there_is_one_retry_in_total(
    wechat: LoopbackWeChat, client: WeChatClient, tokens: FixedTokens, errcode: int
) -> None:
    wechat.answer(SEND, *[error_reply(errcode)] * 5)

    with pytest.raises(TokenRefusedError):
        client.send("oOPENID", Text("x"))

    assert len(wechat.received) == 2
    assert tokens.refusals == ["ACCESS-TOKEN-1"]


def test_the_same_token_again_is_not_tried(wechat: LoopbackWeChat, transport: Transport) -> None:
    tokens = FixedTokens("ONLY")
    wechat.answer(SEND, *[error_reply(42001)] * 5)

    with pytest.raises(TokenRefusedError) as caught:
        WeChatClient(transport, tokens=tokens, app_id="wx1").send("oOPENID", Text("x"))

    assert used_tokens(wechat) == ["ONLY"]
    assert caught.value.retry is Retry.NEVER


@pytest.mark.parametrize("errcode", [-1, 45009, 45011, 45015, 48001, 99999])
def test_nothing_else_is_retried_here(
    wechat: LoopbackWeChat, client: WeChatClient, tokens: FixedTokens, errcode: int
) -> None:
    wechat.answer(SEND, error_reply(errcode))

    with pytest.raises(WeChatApiError):
        client.send("oOPENID", Text("x"))

    assert len(wechat.received) == 1
    assert tokens.refusals == []


def test_uploads_and_downloads_replace_a_refused_token_too(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    image = b"\x89PNG\r\n\x1a\n" + b"x" * 100
    wechat.answer("/cgi-bin/media/upload", error_reply(42001))

    assert client.upload_image(image).media_id == "MEDIA1"
    assert image in wechat.last.body
