"""The one caller of stable_token, and one message's refusals against everybody's token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from tests.fakes import FakeClock, InMemoryTokens
from wechat_kf.adapters.wechat.sender import WeChatSender
from wechat_kf.adapters.wechat.token_issuer import StableTokenIssuer
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.access_token import AccessToken, TokenKeeper, TokenProvider
from wechat_kf.domain.clock import HOUR, MINUTE
from wechat_kf.domain.messages.message import NotSent, OutboundMessage, Outcome, Sent
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.encoding import encode_json
from wechat_kf.wechat.transport import Call, HttpReply, Transport

APP_ID = "wx0000000000000001"
RID = "6114dedc-7e90330d-3fb31e22"
CREDENTIALS = {"app_id": APP_ID, "app_secret": "s" * 32}


@dataclass
class FakeWeChat(Transport):
    """WeChat as far as tokens go: it refuses dead tokens, and one link whatever the token."""

    issued: int = 1
    dead: set[str] = field(default_factory=set)
    forced: int = 0
    token_calls: int = 0
    probes: int = 0
    sends: int = 0
    probe_answer: bytes = b'{"ip_list":["192.0.2.1"]}'
    apps: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def send(self, call: Call) -> HttpReply:
        self.clock.advance(50)
        document = dict(call.document or {})
        if call.operation.path == operations.STABLE_TOKEN.path:
            return self._issue(document)
        self.probes += call.operation is operations.CALLBACK_IPS
        self.sends += call.operation.name == "send"
        if call.query["access_token"] in self.dead or b"access_token=" in encode_json(document):
            return HttpReply(200, b'{"errcode":40001,"errmsg":"invalid rid: %b"}' % RID.encode())
        if call.operation is operations.CALLBACK_IPS:
            return HttpReply(200, self.probe_answer)
        return HttpReply(200, b'{"errcode":0,"errmsg":"ok"}')

    def _issue(self, document: Mapping[str, object]) -> HttpReply:
        self.token_calls += 1
        self.apps.append(str(document["appid"]))
        if document["force_refresh"]:
            self.forced += 1
            self.dead.add(f"T{self.issued}")
            self.issued += 1
        return HttpReply(200, b'{"access_token":"T%d","expires_in":7200}' % self.issued)


@dataclass
class House:
    """A worker and the token function, with WeChat at the other end."""

    wechat: FakeWeChat = field(default_factory=FakeWeChat)
    secret: dict[str, str] = field(default_factory=lambda: dict(CREDENTIALS))

    def __post_init__(self) -> None:
        self.clock = self.wechat.clock
        self.issuer = StableTokenIssuer(APP_ID, self.wechat, lambda: self.secret, self.clock)
        self.tokens = InMemoryTokens()
        keeper = TokenKeeper(
            self.tokens,
            self.issuer,
            self.clock,
            "me",
            pause=lambda seconds: self.clock.advance(int(seconds * 1000)),
        )
        provider = TokenProvider(self.tokens, keeper, self.clock)
        self.sender = WeChatSender(WeChatClient(self.wechat, tokens=provider, app_id=APP_ID))

    def send(self, url: str, openid: str = "oBuyer") -> Outcome:
        card = {
            "type": "link",
            "title": "t",
            "description": "d",
            "url": url,
            "thumb_url": "https://u",
        }
        return self.sender.send(OutboundMessage("42", openid, card, message_id="m1"))


GOOD, BAD = "https://shop.example.com/o", "https://shop.example.com/o?access_token=abc"


def test_a_message_that_is_always_refused_fails_for_good_and_costs_nobody_a_token() -> None:
    house = House()
    assert house.send(GOOD) == Sent()

    # When messages are refused that WeChat would refuse with any token
    outcomes = [house.send(BAD, f"o{number}") for number in range(20)]

    # Then each has ended, with WeChat's reason, after one call; no token was replaced
    for outcome in outcomes:
        assert isinstance(outcome, NotSent)
        assert outcome.wait is None
        assert (outcome.failure.errcode, outcome.failure.rid) == (40001, RID)
    assert house.wechat.forced == 0
    assert house.wechat.sends == 1 + len(outcomes)
    assert house.send(GOOD) == Sent()

    # And one that dies is replaced at once, again and again
    for number in range(1, 4):
        house.wechat.dead.add(f"T{house.wechat.issued}")
        assert house.send(GOOD) == Sent()
        assert house.wechat.forced == number
        house.clock.advance(MINUTE)


def test_a_dead_token_is_not_taken_for_a_message_at_fault() -> None:
    house = House()
    house.send(GOOD)
    house.wechat.dead.add("T1")
    outcome = house.send(BAD)
    assert isinstance(outcome, NotSent)
    assert house.wechat.forced == 1
    assert house.send(GOOD) == Sent()
    assert house.wechat.forced == 1


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (b'{"ip_list":[]}', True),
        (b'{"errcode":45009,"errmsg":"reach max api daily quota limit"}', True),
        (b'{"errcode":48001,"errmsg":"api unauthorized"}', True),
        (b'{"errcode":40001,"errmsg":"invalid credential"}', False),
        (b'{"errcode":42001,"errmsg":"access_token expired"}', False),
    ],
)
def test_a_token_is_tried_with_a_call_that_changes_nothing(answer: bytes, accepted: bool) -> None:
    house = House(FakeWeChat(probe_answer=answer))
    assert house.issuer.accepts(AccessToken("T1")) is accepted
    assert (house.wechat.probes, house.wechat.sends) == (1, 0)


@pytest.mark.parametrize(
    "answer", [b'{"errcode":-1,"errmsg":"system error"}', b'{"errcode":99999}', b"<html>"]
)
def test_an_unclear_answer_accepts_and_refuses_nothing(answer: bytes) -> None:
    house = House(FakeWeChat(probe_answer=answer))
    with pytest.raises(Exception, match=r"busy|undocumented|unusable"):
        house.issuer.accepts(AccessToken("T1"))


def test_a_token_is_asked_for_with_the_stacks_own_app_id() -> None:
    house = House()
    token = house.issuer.issue(force=False)
    assert (token.value, token.expires_at - token.requested_at) == ("T1", 2 * HOUR)
    assert house.wechat.apps == [APP_ID]


def test_the_token_of_another_app_is_neither_asked_for_nor_stored() -> None:
    house = House(secret={**CREDENTIALS, "app_id": "wx0000000000000002"})
    outcome = house.send(GOOD)
    assert isinstance(outcome, NotSent)
    assert outcome.wait is not None
    assert house.wechat.token_calls == house.wechat.sends == 0
    assert house.tokens.read() is None


@pytest.mark.parametrize("missing", ["app_id", "app_secret"])
def test_a_secret_that_is_not_filled_in_is_said_clearly(missing: str) -> None:
    house = House(secret={**CREDENTIALS, missing: ""})
    with pytest.raises(UnavailableError, match="not filled in"):
        house.issuer.issue(force=False)


def test_no_repr_shows_the_secret() -> None:
    assert "secret" not in repr(House().issuer)
