"""From our content to WeChat's message, and from what WeChat does to one of three outcomes."""

from __future__ import annotations

from typing import Any

import pytest

from wechat_kf.adapters.wechat.sender import WeChatSender
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.messages.message import (
    NotSent,
    OutboundMessage,
    Sent,
    Unknown,
    Wait,
)
from wechat_kf.wechat import operations
from wechat_kf.wechat.codes import ERRCODES
from wechat_kf.wechat.errors import (
    InvalidInputError,
    MalformedReplyError,
    Retry,
    TransportError,
    api_error,
)
from wechat_kf.wechat.messages import Text

OPERATION = operations.SEND_AS_SUB_MERCHANT


class FakeClient:
    """The WeChat client: remembers the call, and answers or raises as told."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def _answered(self, *call: Any) -> Any:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def send(self, openid: str, message: Any, **options: Any) -> Any:
        return self._answered(openid, message, options)


def message(**content: Any) -> OutboundMessage:
    given = content or {"type": "text", "text": "您好"}
    return OutboundMessage("42", "buyer", given, message_id="m1")


def outcome_of(fault: Exception) -> Sent | NotSent | Unknown:
    return WeChatSender(FakeClient(fault)).send(message())  # type: ignore[arg-type]


def test_a_send_names_buyer_merchant_and_who_wrote_it() -> None:
    client = FakeClient()
    sent = message(type="text", text="您好", ai_generated=True)
    assert WeChatSender(client).send(sent) == Sent()  # type: ignore[arg-type]
    assert client.calls == [("buyer", Text("您好"), {"business_id": "42", "ai_generated": True})]


WAITING = {
    -1: Wait.RISKY,
    40001: Wait.TOKEN,
    40014: Wait.TOKEN,
    41001: Wait.TOKEN,
    42001: Wait.TOKEN,
    45009: Wait.QUOTA,
    45011: Wait.NEXT_MINUTE,
}


@pytest.mark.parametrize("errcode", sorted(ERRCODES))
def test_every_documented_refusal_is_final_or_waits_as_it_should(errcode: int) -> None:
    outcome = outcome_of(api_error(errcode, "no rid: 6a-1b-2c", OPERATION))
    if errcode == 4:
        assert isinstance(outcome, Unknown)
        return
    assert isinstance(outcome, NotSent)
    assert outcome.wait == WAITING.get(errcode)
    assert outcome.failure.errcode == errcode
    assert outcome.failure.rid == "6a-1b-2c"
    assert outcome.failure.code == ERRCODES[errcode].name


def test_an_undocumented_refusal_is_final() -> None:
    outcome = outcome_of(api_error(99999, "?", OPERATION))
    assert isinstance(outcome, NotSent)
    assert (outcome.wait, outcome.failure.code) == (None, "unknown_wechat_error")


def test_no_connection_is_certainly_not_sent() -> None:
    outcome = outcome_of(TransportError(OPERATION, sent="never", reason="refused"))
    assert isinstance(outcome, NotSent)
    assert outcome.wait is Wait.SHORT


@pytest.mark.parametrize(
    "fault",
    [
        TransportError(OPERATION, sent="perhaps", reason="timeout"),
        MalformedReplyError(OPERATION, "no JSON", http_status=502),
    ],
)
def test_a_broken_answer_is_unknown(fault: Exception) -> None:
    assert isinstance(outcome_of(fault), Unknown)


@pytest.mark.parametrize("http_status", [404, 405, 413, 429])
def test_what_a_gateway_did_not_pass_on_is_certainly_not_sent(http_status: int) -> None:
    outcome = outcome_of(MalformedReplyError(OPERATION, "HTTP status", http_status=http_status))
    assert isinstance(outcome, NotSent)
    assert (outcome.wait, outcome.failure.code) == (None, "malformed_reply")


def test_without_a_token_nothing_was_sent() -> None:
    outcome = outcome_of(UnavailableError("no access token can be had now"))
    assert isinstance(outcome, NotSent)
    assert (outcome.wait, outcome.failure.code) == (Wait.SHORT, "temporarily_unavailable")


def test_what_the_client_refuses_fails_for_good() -> None:
    outcome = outcome_of(InvalidInputError("message", "must not be a menu: allow_menu is off"))
    assert isinstance(outcome, NotSent)
    assert outcome.wait is None


def test_no_failure_repeats_what_was_written() -> None:
    outcome = outcome_of(api_error(45002, "content size out of limit: 您好", OPERATION))
    assert "您好" not in str(outcome)


def test_a_token_refused_for_this_message_alone_ends_it() -> None:
    refusal = api_error(40001, "invalid credential rid: 6114dedc-7e90330d-3fb31e22", OPERATION)
    refusal.retry = Retry.NEVER
    outcome = outcome_of(refusal)
    assert isinstance(outcome, NotSent)
    assert outcome.wait is None
    assert (outcome.failure.errcode, outcome.failure.rid) == (40001, "6114dedc-7e90330d-3fb31e22")
