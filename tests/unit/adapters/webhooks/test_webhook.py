"""Public libraries accept what we send, and replies mean what the rules say."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from hypothesis import given
from hypothesis.strategies import builds, integers, sampled_from, text
from standardwebhooks import Webhook, WebhookVerificationError

from tests.unit.adapters.webhooks.loopback import OK, answer, serving
from wechat_kf.adapters.webhooks.http_post import HttpPoster, PostError, Reply, Request
from wechat_kf.adapters.webhooks.webhook import WebhookSubscriber, retry_after_ms
from wechat_kf.domain.clock import DAY, now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.circuit import LONGEST_RETRY_AFTER_MS
from wechat_kf.domain.subscriptions.delivery import (
    Deferred,
    Delivered,
    DeliveryResult,
    Gone,
    Refused,
)
from wechat_kf.domain.subscriptions.management import create_secret
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType

EVENT = Event(
    id=hashlib.sha256(b"1").hexdigest(),
    type=EventType.MESSAGE_RECEIVED,
    app_id="wx0123456789abcdef",
    business_id="42",
    openid="oBuyer_1",
    at_ms=1_767_225_600_123,
    data={"business_id": "42", "message": {"type": "text", "text": '您好 👋 "quoted" \n'}},
)
SECRET = create_secret()
NOW = 1_767_225_600_000
"""Where only differences matter. `standardwebhooks` looks at the real clock, and is given its time.
"""
RECEIVED = Reply(204, None)


def subscription_to(url: str) -> Subscription:
    return Subscription("42", "sub_1", Target(TargetType.WEBHOOK, url), secrets=(SECRET,))


class Wire(HttpPoster):
    """Takes what would be sent and answers as told."""

    def __init__(self, reply: Reply | str = RECEIVED) -> None:
        # Without HttpPoster's own set-up: nothing of it is used.
        self.reply = reply
        self.sent: list[Request] = []

    def post(self, request: Request) -> Reply:
        self.sent.append(request)
        if isinstance(self.reply, str):
            raise PostError(self.reply)
        return self.reply


def sent(event: Event, subscription: Subscription | None = None, now: int = 0) -> Request:
    """What is sent at `now`, or now."""
    wire = Wire()
    WebhookSubscriber(wire, lambda: now or now_ms()).deliver(
        subscription or subscription_to("https://shop.example.com/hook"), event
    )
    return wire.sent[0]


def result_of(reply: Reply | str) -> DeliveryResult:
    return WebhookSubscriber(Wire(reply), lambda: NOW).deliver(
        subscription_to("https://shop.example.com/hook"), EVENT
    )


def test_a_merchants_server_receives_a_signed_cloudevent() -> None:
    with serving(answer(OK)) as server:
        subscriber = WebhookSubscriber(HttpPoster(allow_loopback=True), now_ms, allow_loopback=True)
        subscription = subscription_to(f"http://127.0.0.1:{server.port}/hook")
        assert subscriber.deliver(subscription, EVENT) == Delivered()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert Webhook(SECRET).verify(body, headers) == EVENT.to_cloudevent()
    received = from_http_event(HTTPMessage(headers, body))
    assert received.get_id() == EVENT.id
    assert received.get_type() == "wechat.kf.message.received"
    assert received.get_source() == "/apps/wx0123456789abcdef/merchants/42"
    assert received.get_subject() == "oBuyer_1"
    assert received.get_data() == EVENT.data
    assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"


@given(text())
def test_any_text_a_buyer_may_write_is_signed_as_it_is(words: str) -> None:
    words = words.encode("utf-8", "replace").decode()
    event = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "o1", NOW, {"text": words})
    request = sent(event)
    verified = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert verified["data"]["text"] == words


def test_a_repeat_has_the_same_id_and_the_time_of_its_own_attempt() -> None:
    first, second = sent(EVENT, now=NOW), sent(EVENT, now=NOW + DAY)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == EVENT.id
    assert first.headers["webhook-timestamp"] == str(NOW // 1000)
    assert second.headers["webhook-timestamp"] == str((NOW + DAY) // 1000)


def test_another_secret_does_not_verify() -> None:
    request = sent(EVENT)
    with pytest.raises(WebhookVerificationError):
        Webhook(create_secret()).verify(request.body, dict(request.headers))


def test_a_changed_body_does_not_verify() -> None:
    request = sent(EVENT)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", dict(request.headers))


def test_while_a_secret_rotates_both_verify_and_afterwards_the_new_one_only() -> None:
    old, new, now = create_secret(), create_secret(), now_ms()
    rotated = Subscription(
        "42",
        "sub_1",
        Target(TargetType.WEBHOOK, "https://shop.example.com/"),
        secrets=(new, old),
        previous_secret_until=now + 1,
    )
    during, after = sent(EVENT, rotated, now), sent(EVENT, rotated, now + 1)
    for secret in (old, new):
        Webhook(secret).verify(during.body, dict(during.headers))
    Webhook(new).verify(after.body, dict(after.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(after.body, dict(after.headers))


def test_no_secret_is_in_what_is_sent_or_shown() -> None:
    request = sent(EVENT)
    key = SECRET.removeprefix("whsec_").encode()
    assert key not in request.body + repr(dict(request.headers)).encode()
    assert SECRET not in repr(subscription_to("https://shop.example.com/"))
    assert len(base64.b64decode(key)) == 32


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_receipt(status: int) -> None:
    assert result_of(Reply(status, None)) == Delivered()


def test_410_says_that_the_subscriber_is_gone() -> None:
    assert result_of(Reply(410, None)) == Gone("answered 410", 410)


@pytest.mark.parametrize("status", [101, 300, 301, 302, 307, 308, 400, 401, 403, 404, 422, 499])
def test_other_answers_refuse_this_event(status: int) -> None:
    result = result_of(Reply(status, "60", "no"))
    assert result == Refused(f"answered {status}", status, "no")
    assert not isinstance(result, Gone)


@pytest.mark.parametrize("status", [500, 501, 502, 504, 599])
def test_a_fault_of_the_subscriber_is_a_reason_to_come_again(status: int) -> None:
    assert result_of(Reply(status, "60", "x")) == Deferred(f"answered {status}", None, status, "x")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_subscriber_says_when(status: int) -> None:
    assert result_of(Reply(status, "60")) == Deferred(f"answered {status}", 60_000, status)
    assert result_of(Reply(status, None)) == Deferred(f"answered {status}", None, status)


def test_no_reply_is_a_reason_to_come_again() -> None:
    assert result_of("timed out") == Deferred("timed out")


def test_a_url_that_the_rules_no_longer_allow_is_not_called() -> None:
    wire = Wire()
    subscriber = WebhookSubscriber(wire, lambda: NOW)
    for url in ("http://127.0.0.1/hook", "http://shop.example.com/", "nonsense"):
        assert subscriber.deliver(subscription_to(url), EVENT) == Deferred("URL not allowed")
    assert wire.sent == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120_000),
        (" 120 ", 120_000),
        ("0", None),
        ("1800", 1_800_000),
        ("1801", 1_800_000),
        ("99999999999999999999", 1_800_000),
        ("9" * 5_000, 1_800_000),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("１２", None),
        ("²", None),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", None),
        ("Mon, 01 Jan 9999 23:59:59 -2359", 1_800_000),
        ("Mon, 01 Jan 9999 23:59:59 GMT", 1_800_000),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None),
        ("Mon, 01 Jan 2026 00:00:00 +9999999999", None),
        ("Mon, 01 Jan 2026 00:00:99999999999999 GMT", None),
        ("Mon, 31 Feb 2027 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(text: str, expected: int | None) -> None:
    assert retry_after_ms(text, NOW) == expected


def test_retry_after_as_a_date() -> None:
    now = 1_767_225_600_000
    at = datetime.fromtimestamp(now / 1000, UTC) + timedelta(minutes=10)
    rfc = at.strftime("%a, %d %b %Y %H:%M:%S")
    assert retry_after_ms(f"{rfc} GMT", now) == 600_000
    assert retry_after_ms(f"{rfc} -0000", now) == 600_000
    assert retry_after_ms(f"{rfc} GMT", now + DAY) is None


dates = builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    sampled_from(["Mon", "Tue", ""]),
    integers(),
    sampled_from(["Jan", "Dec", "Foo"]),
    integers() | integers(0, 10_000),
    integers(-1, 99),
    integers(-1, 99),
    integers(),
    sampled_from(["GMT", "+0000", "-9999", "+99999999999", "EST", "", "x"]),
)


@given(text() | dates)
def test_no_retry_after_can_break_us(value: str) -> None:
    asked_ms = retry_after_ms(value, NOW)
    assert asked_ms is None or 0 < asked_ms <= LONGEST_RETRY_AFTER_MS


def test_the_body_is_compact_json() -> None:
    body = sent(EVENT).body
    assert json.loads(body) == EVENT.to_cloudevent()
    assert "您好".encode() in body
