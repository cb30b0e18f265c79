"""The client against the simulator: every call of the reference, and every code it can refuse with.

The two were written apart, each from the reference alone: what they agree on is what it says.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.contracts.simulator_process import APP_ID, APP_SECRET, running_simulator
from wechat_kf.wechat import operations, replies
from wechat_kf.wechat.client import ClientOptions, TypingCommand, TypingResult, WeChatClient
from wechat_kf.wechat.codes import ERRCODES, TOKEN_REFUSED_CODES
from wechat_kf.wechat.errors import (
    AccountNameUsedError,
    AddressNotAllowedError,
    MalformedReplyError,
    Retry,
    SubMerchantNotFoundError,
    TokenRefusedError,
    TransportError,
    WeChatApiError,
)
from wechat_kf.wechat.messages import Image, Link, Menu, MenuItem, MiniProgramPage, Text
from wechat_kf.wechat.operations import Operation
from wechat_kf.wechat.tokens import stable_token
from wechat_kf.wechat.transport import Call, Timeouts, Transport, Upload
from wechat_kf_local.png import plain_png
from wechat_kf_local.simulator.rules.refusals import TEXTS

BUYER = "oBuyer-of-the-contract-tests"
SEND = "/cgi-bin/message/custom/business/send"

# Calls that the simulator plays, and that the client has no use for.
CLEAR_QUOTA = Operation("clear_quota", "POST", "/cgi-bin/clear_quota")
CLEAR_QUOTA_WITH_SECRET = Operation(
    "clear_quota", "POST", "/cgi-bin/clear_quota/v2", takes_token=False
)
CLASSIC_TOKEN = Operation("token", "GET", "/cgi-bin/token", takes_token=False)
RID = Operation("rid", "POST", "/cgi-bin/openapi/rid/get")
API_DOMAIN_IPS = Operation("api_domain_ips", "GET", "/cgi-bin/get_api_domain_ip")

# Section 1 of docs/wechat-api.md, row by row; token and clear_quota come in two forms each.
ENDPOINTS = frozenset(
    {
        "/cgi-bin/business/register",
        "/cgi-bin/business/update",
        "/cgi-bin/business/get",
        "/cgi-bin/business/list",
        "/cgi-bin/message/custom/business/send",
        "/cgi-bin/message/custom/send",
        "/cgi-bin/message/custom/business/typing",
        "/cgi-bin/token",
        "/cgi-bin/stable_token",
        "/cgi-bin/media/upload",
        "/cgi-bin/media/get",
        "/cgi-bin/openapi/quota/get",
        "/cgi-bin/clear_quota",
        "/cgi-bin/clear_quota/v2",
        "/cgi-bin/openapi/rid/get",
        "/cgi-bin/getcallbackip",
        "/cgi-bin/get_api_domain_ip",
        "/cgi-bin/callback/check",
    }
)


@dataclass
class StableTokens:
    """The simplest token source: asks for the stable token, and again when it is refused."""

    transport: Transport
    token: str = field(default="", repr=False)

    def current(self) -> str:
        if not self.token:
            self.token = self._fetched()
        return self.token

    def refused(self, token: str) -> str:
        self.token = self._fetched()
        return self.token

    def _fetched(self) -> str:
        return stable_token(self.transport, app_id=APP_ID, app_secret=APP_SECRET).access_token


@dataclass
class Simulator:
    """The running simulator, the client on it, and its control API."""

    url: str
    transport: Transport
    client: WeChatClient
    tokens: StableTokens

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_sim/{path}", json=document, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def advance(self, seconds: float) -> float:
        """The time after that."""
        now: float = self.control("POST", "clock", {"advance": seconds})["now"]
        return now

    def begin_a_minute(self) -> None:
        """Lest a minute, or a day, whose calls are counted ends between two of them."""
        self.advance(60 - self.advance(0) % 60)

    def fault(self, kind: str, match: str = "/cgi-bin/", **more: Any) -> None:
        self.control("POST", "faults", {"kind": kind, "match": match, "times": 1, **more})

    def enter(self, business_id: str = "0") -> None:
        order = {"business_id": business_id, "wait": False}
        self.control("POST", f"buyers/{BUYER}/enter", order)

    def say(self, business_id: str = "0") -> None:
        order = {"business_id": business_id, "content": "在吗", "wait": False}
        self.control("POST", f"buyers/{BUYER}/text", order)

    def phone(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.control("GET", f"buyers/{BUYER}/messages")["items"]
        return [message for message in messages if message["sender"] == "merchant"]

    def called(self) -> set[str]:
        return set(self.control("GET", "counters")["calls"])

    @contextmanager
    def configured(self, **settings: Any) -> Iterator[None]:
        before = self.control("GET", "config")
        self.control("PUT", "config", settings)
        try:
            yield
        finally:
            self.control("PUT", "config", {name: before[name] for name in settings})

    def icon(self) -> str:
        return self.client.upload_image(plain_png()).media_id

    def merchant(self, account_name: str = "apple_shop", nickname: str = "苹果旗舰店") -> str:
        return self.client.register(account_name, nickname, self.icon())

    def raw(self, operation: Operation, document: Any = None, **query: str) -> dict[str, Any]:
        """A call that the client's own checks would not let out."""
        call = Call(operation, query=query, document=document)
        return self.raw_call(call)

    def raw_call(self, call: Call) -> dict[str, Any]:
        if call.operation.takes_token:
            call = call.with_token(self.tokens.current())
        return replies.require_success(self.transport.send(call), call.operation)

    def raw_bytes(self, operation: Operation, body: bytes) -> dict[str, Any]:
        answer = requests.post(
            self.url + operation.path,
            params={"access_token": self.tokens.current()},
            data=body,
            timeout=10,
        )
        return _raised(answer, operation)


def _raised(answer: requests.Response, operation: Operation) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.content)
    replies.raise_for_errcode(document, operation)
    return document


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with running_simulator() as url:
        yield url


@pytest.fixture
def simulator(simulator_url: str, timeouts: Timeouts) -> Iterator[Simulator]:
    requests.post(f"{simulator_url}/_sim/reset", timeout=10).raise_for_status()
    transport = Transport([simulator_url], timeouts)
    tokens = StableTokens(transport)
    options = ClientOptions(allow_menu=True)
    client = WeChatClient(transport, tokens=tokens, app_id=APP_ID, options=options)
    yield Simulator(simulator_url, transport, client, tokens)
    transport.close()


# What works: every endpoint


def test_every_endpoint_of_the_reference_is_played(simulator: Simulator) -> None:
    client, transport = simulator.client, simulator.transport
    # Tokens: two families
    stable = stable_token(transport, app_id=APP_ID, app_secret=APP_SECRET)
    credentials = {"appid": APP_ID, "secret": APP_SECRET}
    classic = simulator.raw(CLASSIC_TOKEN, grant_type="client_credential", **credentials)
    assert stable.expires_in == classic["expires_in"] == 7200
    assert stable.access_token != classic["access_token"]
    # Media
    icon = client.upload_image(plain_png(), "图标.png")
    assert client.download(icon.media_id).content == plain_png()
    # Sub-merchants
    business_id = client.register("apple_shop", "苹果旗舰店", icon.media_id)
    client.update(business_id, nickname="香蕉旗舰店")
    found = client.get(business_id=business_id)
    assert (found.account_name, found.nickname) == ("apple_shop", "香蕉旗舰店")
    assert client.get(account_name="apple_shop") == found
    assert list(client.iter_all()) == [found]
    # Messages and typing
    simulator.say(business_id)
    simulator.say()
    assert client.typing(BUYER, business_id=business_id) is TypingResult.SHOWN
    client.send(BUYER, Text("您好 👋"), business_id=business_id)
    client.send(BUYER, Text("主号"))
    shown = [(message["nickname"], message["text"]) for message in simulator.phone()]
    assert shown[0] == ("香蕉旗舰店", "您好 👋")
    assert shown[1][1] == "主号"
    # Diagnostics
    quota = client.quota(SEND)
    assert (quota.used, quota.remain) == (1, quota.daily_limit - 1)
    simulator.raw(CLEAR_QUOTA, {"appid": APP_ID})
    simulator.raw(CLEAR_QUOTA_WITH_SECRET, {"appid": APP_ID, "appsecret": APP_SECRET})
    assert client.quota(SEND).used == 0
    assert client.callback_ips()
    assert simulator.raw(API_DOMAIN_IPS)["ip_list"]
    with simulator.configured(push_url="https://shop.example/push"):
        check = client.callback_check()
    assert check.dns
    assert check.ping
    with pytest.raises(SubMerchantNotFoundError) as refused:
        client.get(business_id="404")
    assert refused.value.rid is not None
    request = simulator.raw(RID, {"rid": refused.value.rid})["request"]
    assert "/cgi-bin/business/get?access_token=" in request["request_url"]
    # Nothing of the table is left out, and nothing beyond it is called
    assert simulator.called() == ENDPOINTS


def test_every_kind_of_message_reaches_the_phone(simulator: Simulator) -> None:
    business_id = simulator.merchant()
    simulator.say(business_id)
    media_id = simulator.icon()
    messages = (
        Text('<a href="https://shop.example/?a=1&b=2">新款 🧥</a>'),
        Image(media_id),
        Link("新款", "山茶花", "https://shop.example/", "https://shop.example/1.png"),
        MiniProgramPage("新款", "pages/index/index?id=1", media_id),
        Menu((MenuItem("1", "满意"), MenuItem("2", "不满意")), "评价", "谢谢"),
    )
    for message in messages:
        simulator.client.send(BUYER, message, business_id=business_id, ai_generated=True)

    phone = simulator.phone()
    assert [message["msgtype"] for message in phone] == [
        "text",
        "image",
        "link",
        "miniprogrampage",
        "msgmenu",
    ]
    assert phone[0]["text"] == '<a href="https://shop.example/?a=1&b=2">新款 🧥</a>'
    assert phone[3]["content"]["appid"] == APP_ID
    assert all(message["ai_generated"] for message in phone)


@pytest.mark.parametrize("wire_type", ["number", "string"])
@pytest.mark.parametrize("path", [SEND, "/cgi-bin/message/custom/send"])
def test_both_paths_and_both_types_of_the_id_are_taken(
    simulator: Simulator, path: str, wire_type: Any
) -> None:
    business_id = simulator.merchant()
    simulator.say(business_id)
    options = ClientOptions(send_path=path, business_id_as=wire_type)
    client = WeChatClient(
        simulator.transport, tokens=simulator.tokens, app_id=APP_ID, options=options
    )

    client.send(BUYER, Text("您好"), business_id=business_id)

    assert simulator.phone()[0]["business_id"] == business_id
    assert path in simulator.called()


def test_a_list_longer_than_a_page_is_read_to_its_end(simulator: Simulator) -> None:
    icon = simulator.icon()
    for number in range(201):
        simulator.client.register(f"shop_{number:04}", f"店{number:04}", icon)

    listed = list(simulator.client.iter_all())

    assert [item.business_id for item in listed] == [str(number) for number in range(1, 202)]


# What WeChat refuses

Provocation = Callable[[Simulator], object]


def _send_raw(simulator: Simulator, **envelope: Any) -> object:
    """Send in an open window, with what is named here in the place of what is right."""
    simulator.say()
    right = {"touser": BUYER, "msgtype": "text", "text": {"content": "您好"}}
    return simulator.raw(operations.SEND, right | envelope)


def _link(**wrong: str) -> dict[str, Any]:
    right = {"title": "题", "description": "述", "url": "https://a", "thumb_url": "https://b"}
    return {"msgtype": "link", "link": right | wrong}


def _register_raw(simulator: Simulator, **wrong: Any) -> object:
    right = {"account_name": "apple_shop", "nickname": "苹果", "icon_media_id": simulator.icon()}
    return simulator.raw(operations.REGISTER, right | wrong)


def _upload_raw(simulator: Simulator, content: bytes, *, kind: str = "image") -> dict[str, Any]:
    upload = Upload("media", "a.bin", "application/octet-stream", content)
    return simulator.raw_call(Call(operations.UPLOAD, query={"type": kind}, upload=upload))


def _voice(simulator: Simulator) -> str:
    media_id: str = _upload_raw(simulator, b"voice", kind="voice")["media_id"]
    return media_id


def _token_raw(simulator: Simulator, **wrong: Any) -> object:
    right = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
    return simulator.raw(operations.STABLE_TOKEN, right | wrong)


def _with_token(simulator: Simulator, token: str) -> object:
    call = Call(operations.CALLBACK_IPS).with_token(token)
    return replies.require_success(simulator.transport.send(call), operations.CALLBACK_IPS)


def _without_token(simulator: Simulator) -> object:
    reply = simulator.transport.send(Call(operations.CALLBACK_IPS))
    return replies.require_success(reply, operations.CALLBACK_IPS)


def _dead_token(simulator: Simulator) -> object:
    token = simulator.tokens.current()
    simulator.control("POST", "tokens/kill", {})
    return _with_token(simulator, token)


def _expired_token(simulator: Simulator) -> object:
    token = simulator.tokens.current()
    simulator.advance(7200)
    return _with_token(simulator, token)


def _not_whitelisted(simulator: Simulator) -> object:
    with simulator.configured(ip_whitelist=["203.0.113.1"]):
        return _token_raw(simulator)


def _over_limit(simulator: Simulator, setting: str) -> object:
    path = operations.CALLBACK_IPS.path
    simulator.begin_a_minute()
    with simulator.configured(**{setting: {path: 1}}):
        simulator.client.callback_ips()
        return simulator.client.callback_ips()


def _too_many_merchants(simulator: Simulator) -> object:
    simulator.merchant()
    with simulator.configured(max_sub_merchants=1):
        return simulator.merchant("pear_shop")


def _capability_off(simulator: Simulator) -> object:
    with simulator.configured(sub_merchants_allowed=False):
        return simulator.client.list_page()


def _name_taken(simulator: Simulator) -> object:
    simulator.merchant()
    return simulator.merchant()


def _window_closed(simulator: Simulator) -> object:
    simulator.enter()
    simulator.advance(61)
    simulator.client.send(BUYER, Text("您好"))
    return None


def _allowance_used_up(simulator: Simulator) -> object:
    simulator.enter()
    for _ in range(3):
        simulator.client.send(BUYER, Text("您好"))
    return None


def _typing_raw(simulator: Simulator, command: str = "Typing") -> object:
    return simulator.raw(operations.TYPING, {"touser": BUYER, "command": command})


def _typing_late(simulator: Simulator) -> object:
    simulator.say()
    simulator.advance(31)
    return _typing_raw(simulator)


def _typing_twice(simulator: Simulator) -> object:
    simulator.say()
    _typing_raw(simulator)
    return _typing_raw(simulator)


def _typing_misspelt(simulator: Simulator) -> object:
    simulator.say()
    return _typing_raw(simulator, "typing")


def _too_many_resets(simulator: Simulator) -> object:
    for _ in range(11):
        simulator.raw(CLEAR_QUOTA, {"appid": APP_ID})
    return None


def _old_rid(simulator: Simulator) -> object:
    with pytest.raises(WeChatApiError) as refused:
        simulator.client.get(business_id="404")
    simulator.advance(7 * 24 * 3600 + 1)
    simulator.tokens.token = ""
    return simulator.raw(RID, {"rid": refused.value.rid})


def _check_raw(simulator: Simulator, **wrong: str) -> object:
    with simulator.configured(push_url="https://shop.example/push"):
        right = {"action": "all", "check_operator": "DEFAULT"}
        return simulator.raw(operations.CALLBACK_CHECK, right | wrong)


def _get_instead_of_post(simulator: Simulator) -> object:
    query = {"access_token": simulator.tokens.current()}
    answer = requests.get(simulator.url + operations.GET.path, params=query, timeout=10)
    return _raised(answer, operations.GET)


def _post_instead_of_get(simulator: Simulator) -> object:
    return simulator.raw_bytes(operations.CALLBACK_IPS, b"{}")


def _busy(simulator: Simulator) -> object:
    simulator.fault("busy", operations.CALLBACK_IPS.path)
    return simulator.client.callback_ips()


def _kind_of_official_accounts(simulator: Simulator) -> object:
    return _send_raw(simulator, msgtype="voice", voice={"media_id": "x"})


PROVOCATIONS: dict[int, Provocation] = {
    -1: _busy,
    40001: _dead_token,
    40002: lambda s: _token_raw(s, grant_type="password"),
    40003: lambda s: s.client.send("oNobody", Text("您好")),
    40004: lambda s: _register_raw(s, icon_media_id=_voice(s)),
    40006: lambda s: _upload_raw(s, b""),
    40007: lambda s: _register_raw(s, icon_media_id="unknown"),
    40008: lambda s: _send_raw(s, msgtype="telegram"),
    40009: lambda s: _upload_raw(s, plain_png() + bytes(2 * 1024 * 1024)),
    40013: lambda s: _token_raw(s, appid="wx0000000000000000"),
    40014: lambda s: _with_token(s, "no token"),
    40033: lambda s: s.raw_bytes(operations.GET, b'{"account_name":"\\u4f60"}'),
    40035: lambda s: s.raw(operations.LIST, {"offset": 0, "count": 201}),
    40101: lambda s: s.raw(operations.SEND_AS_SUB_MERCHANT, {"touser": BUYER}),
    40125: lambda s: _token_raw(s, secret="wrong"),
    40137: lambda s: _upload_raw(s, b"no image"),
    40164: _not_whitelisted,
    40201: lambda s: s.client.callback_check(),
    40202: lambda s: _check_raw(s, action="trace"),
    40203: lambda s: _check_raw(s, check_operator="NOBODY"),
    41001: _without_token,
    41002: lambda s: _token_raw(s, appid=""),
    41004: lambda s: _token_raw(s, secret=""),
    41005: lambda s: s.raw(operations.UPLOAD, {}, type="image"),
    41006: lambda s: s.raw(operations.DOWNLOAD),
    42001: _expired_token,
    43001: _post_instead_of_get,
    43002: _get_instead_of_post,
    44002: lambda s: s.raw_bytes(operations.GET, b""),
    44004: lambda s: _send_raw(s, text={"content": ""}),
    45002: lambda s: _send_raw(s, text={"content": "长" * 683}),
    45003: lambda s: _send_raw(s, **_link(title="题" * 65)),
    45004: lambda s: _send_raw(s, **_link(description="述" * 129)),
    45005: lambda s: _send_raw(s, **_link(url="https://" + "a" * 2048)),
    45006: lambda s: _send_raw(s, **_link(thumb_url="https://" + "a" * 2048)),
    45009: lambda s: _over_limit(s, "daily_limits"),
    45011: lambda s: _over_limit(s, "minute_limits"),
    45015: _window_closed,
    45047: _allowance_used_up,
    45070: _name_taken,
    45071: lambda s: s.client.get(account_name="nobody_here"),
    45072: _typing_misspelt,
    45077: _too_many_merchants,
    45078: lambda s: _register_raw(s, nickname="苹 果 店"),
    45079: lambda s: _register_raw(s, nickname="微信旗舰店"),
    45080: _typing_late,
    45081: _typing_twice,
    45091: lambda s: _register_raw(s, account_name="apple"),
    47001: lambda s: s.raw_bytes(operations.GET, b"{"),
    48001: _capability_off,
    48006: _too_many_resets,
    48008: _kind_of_official_accounts,
    76001: lambda s: s.raw(RID, {"rid": "00000000-00000000-00000000"}),
    76002: lambda s: s.raw(RID, {"rid": "what is this"}),
    76003: lambda s: s.raw(operations.QUOTA, {"cgi_path": "cgi-bin/media/get"}),
    76004: _old_rid,
    76021: lambda s: s.client.quota("/cgi-bin/nowhere"),
}


def test_no_code_of_the_simulator_is_left_unprovoked() -> None:
    assert PROVOCATIONS.keys() == TEXTS.keys()


@pytest.mark.parametrize("errcode", PROVOCATIONS)
def test_a_refusal_of_the_simulator_is_understood(simulator: Simulator, errcode: int) -> None:
    with pytest.raises(WeChatApiError) as refused:
        PROVOCATIONS[errcode](simulator)

    assert refused.value.errcode == errcode
    assert refused.value.rid is not None


@pytest.mark.parametrize("errcode", ERRCODES)
def test_every_documented_code_arrives_as_its_row_of_the_table(
    simulator: Simulator, errcode: int
) -> None:
    path = operations.GET.path
    # A refused token is replaced once, so the second try must be refused as well.
    times = 2 if errcode in TOKEN_REFUSED_CODES else 1
    simulator.fault(f"errcode:{errcode}", path, times=times)

    with pytest.raises(WeChatApiError) as refused:
        simulator.client.get(business_id="1")

    row = ERRCODES[errcode]
    error = refused.value
    assert (error.errcode, error.code, error.status) == (errcode, row.name, row.status)
    # The token source has no other token to offer, so that a refused one is final.
    assert error.retry is (Retry.NEVER if errcode in TOKEN_REFUSED_CODES else row.retry)
    assert error.rid


def test_what_callers_need_to_tell_apart_has_a_class_of_its_own(simulator: Simulator) -> None:
    with pytest.raises(AccountNameUsedError):
        _name_taken(simulator)
    with pytest.raises(SubMerchantNotFoundError):
        simulator.client.get(business_id="404")
    with pytest.raises(TokenRefusedError):
        _dead_token(simulator)
    with pytest.raises(AddressNotAllowedError) as refused:
        _not_whitelisted(simulator)
    assert refused.value.address == "127.0.0.1"


# What goes wrong on the way


def test_a_killed_token_is_replaced_within_the_same_call(simulator: Simulator) -> None:
    killed = simulator.tokens.current()
    simulator.control("POST", "tokens/kill", {})

    assert simulator.client.callback_ips()
    assert simulator.tokens.current() != killed


def test_typing_that_wechat_ignores_is_no_error(simulator: Simulator) -> None:
    simulator.say()
    client = simulator.client

    assert client.typing(BUYER) is TypingResult.SHOWN
    assert client.typing(BUYER) is TypingResult.ALREADY
    assert client.typing(BUYER, TypingCommand.CANCEL) is TypingResult.SHOWN
    simulator.advance(31)
    assert client.typing(BUYER) is TypingResult.IGNORED


@pytest.mark.parametrize("timeouts", [Timeouts(read=0.5)], ids=["hasty"])
@pytest.mark.parametrize(("kind", "delivered"), [("cut_before", 0), ("cut_after", 1), ("hang", 0)])
def test_a_send_without_an_answer_was_perhaps_sent(
    simulator: Simulator, kind: str, delivered: int
) -> None:
    simulator.say()
    simulator.tokens.current()
    simulator.fault(kind, operations.SEND.path)

    with pytest.raises(TransportError) as failed:
        simulator.client.send(BUYER, Text("您好"))

    assert failed.value.sent == "perhaps"
    assert len(simulator.phone()) == delivered


@pytest.mark.parametrize("kind", ["http_500", "html"])
def test_an_answer_that_is_not_wechats_is_told_apart(simulator: Simulator, kind: str) -> None:
    simulator.fault(kind, operations.CALLBACK_IPS.path)

    with pytest.raises(MalformedReplyError):
        simulator.client.callback_ips()


def test_a_wrong_content_type_changes_nothing(simulator: Simulator) -> None:
    simulator.fault("wrong_content_type", operations.CALLBACK_IPS.path)

    assert simulator.client.callback_ips()
