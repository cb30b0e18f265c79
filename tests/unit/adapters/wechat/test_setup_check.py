"""What the token function tells an operator who asks whether all is set up at WeChat."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from wechat_kf.adapters.wechat.setup_check import check_setup, failure_facts
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.access_token import AccessToken
from wechat_kf.wechat import operations
from wechat_kf.wechat.diagnostics import CallbackCheck, DnsAnswer, PingAnswer
from wechat_kf.wechat.errors import WeChatError, api_error
from wechat_kf.wechat.tokens import TokenSource

SEEN = CallbackCheck(
    dns=(DnsAnswer("192.0.2.7", "UNICOM"),),
    ping=(PingAnswer("192.0.2.7", "UNICOM", "0%", "1ms"), PingAnswer("192.0.2.8", "CAP", "5%", "")),
)


@dataclass
class FakeWeChat:
    """Issues a token and looks at the push URL with it."""

    secret_fault: Exception | None = None
    check_fault: WeChatError | None = None
    forced: list[bool] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    tokens: TokenSource | None = None

    def issue(self, *, force: bool) -> AccessToken:
        self.forced.append(force)
        if self.secret_fault:
            raise self.secret_fault
        return AccessToken("issued-token")

    def accepts(self, token: AccessToken) -> bool:
        raise AssertionError("nobody asks")

    def checker_for(self, tokens: TokenSource) -> FakeWeChat:
        self.tokens = tokens
        return self

    def callback_check(self) -> CallbackCheck:
        assert self.tokens
        self.used.append(self.tokens.current())
        if self.check_fault:
            raise self.check_fault
        return SEEN


def test_it_proves_the_secret_and_tells_what_wechat_sees() -> None:
    wechat = FakeWeChat()
    answer = check_setup(wechat, wechat.checker_for)
    assert answer == {
        "push_url": {
            "ok": True,
            "addresses": ["192.0.2.7", "192.0.2.8"],
            "package_loss": ["0%", "5%"],
        }
    }
    assert wechat.forced == [False]
    assert wechat.used == ["issued-token"]
    assert "issued-token" not in repr(wechat.tokens) + str(answer)


def test_a_push_url_that_wechat_does_not_know_is_no_fault_of_the_token() -> None:
    error = api_error(40201, "no url rid: 1-2-3", operations.CALLBACK_CHECK)
    wechat = FakeWeChat(check_fault=error)
    told = {"ok": False, "code": error.code, "errcode": 40201, "rid": "1-2-3"}
    assert check_setup(wechat, wechat.checker_for) == {"push_url": told}


def test_a_refused_secret_is_raised() -> None:
    wechat = FakeWeChat(secret_fault=UnavailableError("not filled in"))
    with pytest.raises(UnavailableError):
        check_setup(wechat, wechat.checker_for)
    assert wechat.used == []


def test_a_refused_address_is_named() -> None:
    error = api_error(40164, "invalid ip 192.0.2.9, not in whitelist", operations.STABLE_TOKEN)
    facts = failure_facts(error)
    assert (facts["errcode"], facts["address"]) == (40164, "192.0.2.9")
    assert "rid" not in facts
