"""Which targets callers may choose."""

from __future__ import annotations

import pytest

from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.domain.subscriptions.subscription import Target, TargetType
from wechat_kf.errors import InvalidRequestError

HOME = "https://sqs.cn-north-1.amazonaws.com.cn/123456789012"
RULES = TargetRules(f"{HOME}/wechat-kf-deliveries.fifo", "wechat-kf-subscriber-*", "our-bus")


@pytest.mark.parametrize("name", ["wechat-kf-subscriber-shop", "wechat-kf-subscriber-shop.fifo"])
def test_a_queue_of_this_account_and_an_allowed_name_is_taken(name: str) -> None:
    assert RULES.queue(f"{HOME}/{name}") == Target(TargetType.QUEUE, f"{HOME}/{name}")


@pytest.mark.parametrize(
    "url",
    [
        f"{HOME}/wechat-kf-deliveries.fifo",
        f"{HOME}/wechat-kf-subscriberx",
        f"{HOME}/other",
        f"{HOME}/",
        f"{HOME}",
        f"{HOME}/wechat-kf-subscriber-a/../other",
        f"{HOME}0/wechat-kf-subscriber-a",
        "https://sqs.cn-north-1.amazonaws.com.cn/999999999999/wechat-kf-subscriber-a",
        "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/wechat-kf-subscriber-a",
        "https://evil.example/123456789012/wechat-kf-subscriber-a",
        "http://sqs.cn-north-1.amazonaws.com.cn/123456789012/wechat-kf-subscriber-a",
        "https://evil.example/" + HOME + "/wechat-kf-subscriber-a",
        "wechat-kf-subscriber-a",
        "arn:aws-cn:sqs:cn-north-1:123456789012:wechat-kf-subscriber-a",
        "",
    ],
)
def test_any_other_queue_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        RULES.queue(url)
    assert refusal.value.members == {"field": "target.queue_url"}


@pytest.mark.parametrize("name", ["wechat-kf-subscriber-a b", "wechat-kf-subscriber-a?x=1"])
def test_a_name_that_no_queue_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        RULES.queue(f"{HOME}/{name}")


def test_the_bus_is_always_our_own() -> None:
    assert RULES.event_bus() == Target(TargetType.EVENT_BUS, "our-bus")


def test_a_webhook_must_be_public_https() -> None:
    url = "https://shop.example.com/hook?key=1"
    assert RULES.webhook(url) == Target(TargetType.WEBHOOK, url)
    with pytest.raises(InvalidRequestError) as refusal:
        RULES.webhook("http://127.0.0.1/hook")
    assert refusal.value.members == {"field": "target.url"}
