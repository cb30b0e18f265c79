"""Every call: what goes out, what comes back."""

import pytest

from tests.unit.wechat.client_loopback import (
    FixedTokens,
    LoopbackWeChat,
    Reply,
    error_reply,
    json_reply,
)
from wechat_kf.wechat.client import (
    ClientOptions,
    TypingCommand,
    TypingResult,
    WeChatClient,
)
from wechat_kf.wechat.diagnostics import DnsAnswer, PingAnswer, Quota, RateLimit
from wechat_kf.wechat.errors import (
    AccountNameUsedError,
    InvalidInputError,
    MalformedReplyError,
    SubMerchantNotFoundError,
    WeChatApiError,
)
from wechat_kf.wechat.messages import Image, Menu, MenuItem, MiniProgramPage, Text
from wechat_kf.wechat.submerchants import SubMerchant
from wechat_kf.wechat.transport import Transport

APP_ID = "wx0123456789abcdef"
OPENID = "oABCD_openid"
BUSINESS_SEND = "/cgi-bin/message/custom/business/send"
SEND = "/cgi-bin/message/custom/send"
LIST = "/cgi-bin/business/list"
CARD = MiniProgramPage("标题", "pages/a", "M1")


def client_with(transport: Transport, **options: object) -> WeChatClient:
    return WeChatClient(
        transport,
        tokens=FixedTokens(),
        app_id=APP_ID,
        options=ClientOptions(**options),  # type: ignore[arg-type]
    )


# Sub-merchants


def test_register(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    assert client.register("shop_0001", "苹果旗舰店", "MEDIA1") == "1"

    assert (wechat.last.method, wechat.last.path) == ("POST", "/cgi-bin/business/register")
    assert wechat.last.query == {"access_token": "ACCESS-TOKEN-1"}
    assert wechat.last.json == {
        "account_name": "shop_0001",
        "nickname": "苹果旗舰店",
        "icon_media_id": "MEDIA1",
    }


@pytest.mark.parametrize("transfer", [True, False])
def test_register_passes_the_transfer_switch_only_when_it_is_given(
    wechat: LoopbackWeChat, client: WeChatClient, transfer: bool
) -> None:
    client.register("shop_0001", "苹果", "MEDIA1", transfer_to_commkf=transfer)

    assert wechat.last.json["transfer_to_commkf"] is transfer


@pytest.mark.parametrize("business_id", [7, "7"])
def test_register_reads_the_id_as_number_or_text_with_or_without_errcode(
    wechat: LoopbackWeChat, client: WeChatClient, business_id: int | str
) -> None:
    wechat.answer("/cgi-bin/business/register", json_reply({"business_id": business_id}))

    assert client.register("shop_0001", "苹果", "MEDIA1") == "7"


@pytest.mark.parametrize("business_id", [None, "", True, 1.5, {}])
def test_register_without_an_id_is_no_success(
    wechat: LoopbackWeChat, client: WeChatClient, business_id: object
) -> None:
    reply = json_reply({"errcode": 0, "business_id": business_id})
    wechat.answer("/cgi-bin/business/register", reply)

    with pytest.raises(MalformedReplyError) as caught:
        client.register("shop_0001", "苹果", "MEDIA1")

    assert caught.value.sent == "perhaps"


def test_register_with_a_used_name(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer("/cgi-bin/business/register", error_reply(45070))

    with pytest.raises(AccountNameUsedError):
        client.register("shop_0001", "苹果", "MEDIA1")


@pytest.mark.parametrize(
    ("account_name", "nickname", "icon"),
    [("apple", "苹果", "M"), ("shop_0001", "苹", "M"), ("shop_0001", "苹果", "")],
)
def test_register_spends_no_call_on_bad_input(
    wechat: LoopbackWeChat, client: WeChatClient, account_name: str, nickname: str, icon: str
) -> None:
    with pytest.raises(InvalidInputError):
        client.register(account_name, nickname, icon)

    assert wechat.received == []


def test_update_sends_what_changes_and_nothing_else(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    client.update("7", nickname="香蕉")
    assert wechat.last.json == {"business_id": 7, "nickname": "香蕉"}

    client.update("7", icon_media_id="M2")
    assert wechat.last.json == {"business_id": 7, "icon_media_id": "M2"}


@pytest.mark.parametrize(
    "arguments", [{}, {"nickname": ""}, {"icon_media_id": ""}, {"nickname": "a b c d"}]
)
def test_update_spends_no_call_on_bad_input(
    wechat: LoopbackWeChat, client: WeChatClient, arguments: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError):
        client.update("7", **arguments)

    assert wechat.received == []


def test_get_by_either_key(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    expected = SubMerchant("7", "shop_0007", "苹果旗舰店", "http://wx.qlogo.cn/mmhead/abc/0")

    assert client.get(business_id="7") == expected
    assert wechat.last.json == {"business_id": 7}
    assert client.get(account_name="shop_0007") == expected
    assert wechat.last.json == {"account_name": "shop_0007"}


@pytest.mark.parametrize(
    "keys",
    [{}, {"business_id": "7", "account_name": "shop_0007"}, {"business_id": ""}],
)
def test_get_wants_exactly_one_key(
    wechat: LoopbackWeChat, client: WeChatClient, keys: dict[str, str]
) -> None:
    with pytest.raises(InvalidInputError):
        client.get(**keys)

    assert wechat.received == []


@pytest.mark.parametrize(
    ("avatar", "icon"),
    [
        ({"icon_url": "http://a"}, "http://a"),
        ({"icon_media_id": "M"}, "M"),
        ({"icon_url": "", "icon_media_id": "M"}, "M"),
        ({}, None),
    ],
)
def test_get_reads_the_avatar_under_either_name_and_keeps_unknown_fields(
    wechat: LoopbackWeChat, client: WeChatClient, avatar: dict[str, str], icon: str | None
) -> None:
    info = {"business_id": "7", "account_name": "shop_0007", "nickname": "苹果", "is_new": 1}
    wechat.answer("/cgi-bin/business/get", json_reply({"business_info": {**info, **avatar}}))

    found = client.get(business_id="7")

    assert found.icon == icon
    assert found.extra == {"is_new": 1}


def test_get_of_nothing(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer("/cgi-bin/business/get", error_reply(45071), json_reply({"errcode": 0}))

    with pytest.raises(SubMerchantNotFoundError):
        client.get(business_id="7")
    with pytest.raises(MalformedReplyError, match="business_info"):
        client.get(business_id="7")


def test_list_page(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    page = client.list_page(offset=10, count=2)

    assert [(item.business_id, item.icon) for item in page] == [
        ("1", "http://wx.qlogo.cn/mmhead/a/0"),
        ("2", "MEDIA2"),
    ]
    assert wechat.last.json == {"offset": 10, "count": 2}


def test_the_first_page_is_listed_in_full(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    client.list_page()

    assert wechat.last.json == {"offset": 0, "count": 200}


@pytest.mark.parametrize(("offset", "count"), [(-1, 1), (0, 0), (0, 201)])
def test_list_page_checks_its_bounds(
    wechat: LoopbackWeChat, client: WeChatClient, offset: int, count: int
) -> None:
    with pytest.raises(InvalidInputError):
        client.list_page(offset, count)

    assert wechat.received == []


def list_reply(*ids: int) -> Reply:
    return json_reply(
        {
            "list": [
                {"business_id": n, "account_name": f"shop_{n:04}", "nickname": "苹果"} for n in ids
            ]
        }
    )


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ([range(200), range(200, 203)], 203),
        ([range(200), []], 200),
        ([range(200), range(190, 390), []], 390),
        ([[1, 1, 2]], 2),
        ([range(200), range(200)], 200),
        ([[]], 0),
    ],
    ids=["short page", "empty page", "overlap", "repeats", "same page again", "nothing"],
)
def test_iter_all_reads_to_the_end_without_repeats(
    wechat: LoopbackWeChat, client: WeChatClient, pages: list[range], expected: int
) -> None:
    wechat.answer(LIST, *(list_reply(*page) for page in pages))

    found = [item.business_id for item in client.iter_all()]

    assert len(found) == len(set(found)) == expected
    assert [request.json["offset"] for request in wechat.received] == [
        200 * page for page in range(len(pages))
    ]


@pytest.mark.parametrize("document", [{}, {"list": None}, {"list": []}])
def test_an_empty_list_may_be_missing(
    wechat: LoopbackWeChat, client: WeChatClient, document: dict[str, object]
) -> None:
    wechat.answer(LIST, json_reply(document))

    assert client.list_page() == []


@pytest.mark.parametrize("found", ["text", {"a": 1}, 1])
def test_a_list_of_something_else_is_malformed(
    wechat: LoopbackWeChat, client: WeChatClient, found: object
) -> None:
    wechat.answer(LIST, json_reply({"list": found}))

    with pytest.raises(MalformedReplyError):
        client.list_page()


# Sending


def test_send_as_a_sub_merchant(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    client.send(OPENID, Text("您好"), business_id="7")

    assert wechat.last.path == BUSINESS_SEND
    assert wechat.last.json == {
        "touser": OPENID,
        "businessid": 7,
        "msgtype": "text",
        "text": {"content": "您好"},
    }


@pytest.mark.parametrize("path", [SEND, BUSINESS_SEND])
def test_the_main_account_has_one_path_and_no_businessid(
    wechat: LoopbackWeChat, transport: Transport, path: str
) -> None:
    client_with(transport, send_path=path).send(OPENID, Image("M1"))

    assert wechat.last.path == SEND
    assert wechat.last.json == {
        "touser": OPENID,
        "msgtype": "image",
        "image": {"media_id": "M1"},
    }


def test_the_send_path_can_be_switched(wechat: LoopbackWeChat, transport: Transport) -> None:
    client_with(transport, send_path=SEND).send(OPENID, Text("x"), business_id="7")

    assert (wechat.last.path, wechat.last.json["businessid"]) == (SEND, 7)


@pytest.mark.parametrize(
    ("kind", "business_id", "wire"),
    [
        ("number", "7", 7),
        ("number", "9007199254740993", 9007199254740993),
        ("number", "007", "007"),
        ("number", "７", "７"),
        ("number", "abc", "abc"),
        ("string", "7", "7"),
    ],
)
def test_the_wire_type_of_ids_can_be_switched(
    wechat: LoopbackWeChat, transport: Transport, kind: str, business_id: str, wire: object
) -> None:
    client = client_with(transport, business_id_as=kind)

    client.send(OPENID, Text("x"), business_id=business_id)
    assert wechat.last.json["businessid"] == wire
    client.typing(OPENID, business_id=business_id)
    assert wechat.last.json["businessid"] == wire
    client.get(business_id=business_id)
    assert wechat.last.json["business_id"] == wire


def test_content_made_by_ai_is_marked(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    client.send(OPENID, Text("x"), business_id="7", ai_generated=True)

    assert wechat.last.json["aimsgcontext"] == {"is_ai_msg": 1}


def test_cards_name_our_app_unless_told_otherwise(
    wechat: LoopbackWeChat, transport: Transport, client: WeChatClient
) -> None:
    client.send(OPENID, CARD)
    assert wechat.last.json["miniprogrampage"]["appid"] == APP_ID

    client_with(transport, include_card_app_id=False).send(OPENID, CARD)
    assert "appid" not in wechat.last.json["miniprogrampage"]

    client.send(OPENID, MiniProgramPage("标题", "pages/a", "M1", app_id="wxother"))
    assert wechat.last.json["miniprogrampage"]["appid"] == "wxother"


def test_menus_need_the_switch(wechat: LoopbackWeChat, transport: Transport) -> None:
    menu = Menu((MenuItem("1", "满意"),))

    with pytest.raises(InvalidInputError, match="allow_menu"):
        client_with(transport).send(OPENID, menu)
    assert wechat.received == []

    client_with(transport, allow_menu=True).send(OPENID, menu)
    assert wechat.last.json["msgtype"] == "msgmenu"


def test_send_needs_a_receiver_and_a_sender(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    with pytest.raises(InvalidInputError, match="openid"):
        client.send("", Text("x"))
    with pytest.raises(InvalidInputError, match="business_id"):
        client.send(OPENID, Text("x"), business_id="")

    assert wechat.received == []


@pytest.mark.parametrize(
    "options", [{"send_path": "/cgi-bin/other"}, {"business_id_as": "integer"}]
)
def test_options_are_checked(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError):
        ClientOptions(**options)  # type: ignore[arg-type]


# Typing


@pytest.mark.parametrize("command", [TypingCommand.CANCEL, "CancelTyping"])
def test_typing(wechat: LoopbackWeChat, client: WeChatClient, command: str) -> None:
    assert client.typing(OPENID, command, business_id="7") is TypingResult.SHOWN

    assert wechat.last.path == "/cgi-bin/message/custom/business/typing"
    assert wechat.last.json == {"touser": OPENID, "command": "CancelTyping", "businessid": 7}


def test_typing_as_the_main_account(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    client.typing(OPENID)

    assert wechat.last.json == {"touser": OPENID, "command": "Typing"}


@pytest.mark.parametrize(
    ("errcode", "result"), [(45081, TypingResult.ALREADY), (45080, TypingResult.IGNORED)]
)
def test_typing_that_changes_nothing_is_a_result(
    wechat: LoopbackWeChat, client: WeChatClient, errcode: int, result: TypingResult
) -> None:
    wechat.answer("/cgi-bin/message/custom/business/typing", error_reply(errcode))

    assert client.typing(OPENID, business_id="7") is result


@pytest.mark.parametrize("errcode", [45072, 40200, 45015])
def test_other_refusals_of_typing_are_errors(
    wechat: LoopbackWeChat, client: WeChatClient, errcode: int
) -> None:
    wechat.answer("/cgi-bin/message/custom/business/typing", error_reply(errcode))

    with pytest.raises(WeChatApiError) as caught:
        client.typing(OPENID)

    assert caught.value.errcode == errcode


@pytest.mark.parametrize("command", ["typing", "", "Stop"])
def test_typing_minds_the_case_of_its_command(
    wechat: LoopbackWeChat, client: WeChatClient, command: str
) -> None:
    with pytest.raises(InvalidInputError, match="command"):
        client.typing(OPENID, command)

    assert wechat.received == []


# Diagnostics


def test_quota(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    assert client.quota(SEND) == Quota(500000, 20, 499980, RateLimit(1000, 60))
    assert wechat.last.json == {"cgi_path": SEND}


@pytest.mark.parametrize("rate_limit", [None, {}])
def test_quota_without_a_rate_limit(
    wechat: LoopbackWeChat, client: WeChatClient, rate_limit: object
) -> None:
    day = {"daily_limit": 10, "used": "1", "remain": 9}
    wechat.answer(
        "/cgi-bin/openapi/quota/get", json_reply({"quota": day, "rate_limit": rate_limit})
    )

    assert client.quota(SEND) == Quota(10, 1, 9, None)


def test_quota_wants_a_path(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    with pytest.raises(InvalidInputError, match="cgi_path"):
        client.quota("https://api.weixin.qq.com/cgi-bin/media/get")

    assert wechat.received == []


def test_addresses(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    assert client.callback_ips() == ("101.226.62.77", "101.226.103.0/25")
    assert (wechat.last.method, wechat.last.body) == ("GET", b"")


@pytest.mark.parametrize(
    ("ip_list", "expected"), [("101.226.62.77", ("101.226.62.77",)), ([], ()), (None, ())]
)
def test_addresses_in_other_shapes(
    wechat: LoopbackWeChat, client: WeChatClient, ip_list: object, expected: tuple[str, ...]
) -> None:
    wechat.answer("/cgi-bin/getcallbackip", json_reply({"ip_list": ip_list}))

    assert client.callback_ips() == expected


def test_addresses_that_are_none(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer("/cgi-bin/getcallbackip", json_reply({"ip_list": 5}))

    with pytest.raises(MalformedReplyError):
        client.callback_ips()


def test_callback_check(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    found = client.callback_check()

    assert wechat.last.json == {"action": "all", "check_operator": "DEFAULT"}
    assert found.dns == (DnsAnswer("203.0.113.7", "UNICOM"),)
    assert found.ping == (PingAnswer("203.0.113.7", "UNICOM", "0%", "23.079ms"),)


@pytest.mark.parametrize(
    "odd", [{"dns": ["203.0.113.7"]}, {"ping": [None]}, {"dns": {}, "ping": 5}]
)
def test_a_callback_check_in_another_shape(
    wechat: LoopbackWeChat, client: WeChatClient, odd: dict[str, object]
) -> None:
    wechat.answer("/cgi-bin/callback/check", json_reply(odd))

    with pytest.raises(MalformedReplyError):
        client.callback_check()


def test_an_odd_entry_spoils_no_list(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    odd = [None, 7, {}, {"business_id": 1}, {"account_name": "shop_0002"}, {"business_id": [3]}]
    sound = {"business_id": 42, "account_name": "shop_0042", "nickname": ""}
    wechat.answer(LIST, json_reply({"list": [*odd, sound]}))
    found = list(client.iter_all())
    assert [item.business_id for item in found] == ["", "", "", "1", "", "", "42"]
    assert (found[-1].account_name, found[-1].nickname) == ("shop_0042", "")


def test_a_name_cut_in_an_emoji_can_be_stored(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    entry = r'{"business_id":42,"account_name":"shop_0042","nickname":"\u5e97\ud83d","icon_url":7}'
    wechat.answer(LIST, Reply(f'{{"list":[{entry}]}}'.encode()))
    (found,) = client.iter_all()
    assert found.nickname == "店\ufffd"
    assert found.icon == "7"
