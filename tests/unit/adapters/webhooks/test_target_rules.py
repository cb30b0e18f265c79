"""Which targets callers may choose."""

from __future__ import annotations

import pytest

from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.subscriptions.subscription import Target, TargetType

HOME = "https://sqs.cn-north-1.amazonaws.com.cn/123456789012"
RULES = TargetRules(
    f"{HOME}/wechat-kf-deliveries.fifo", "wechat-kf-subscriber-{business_id}-*", "our-bus"
)


@pytest.mark.parametrize(
    "name", ["wechat-kf-subscriber-42-shop", "wechat-kf-subscriber-42-shop.fifo"]
)
def test_a_queue_of_this_account_and_an_allowed_name_is_taken(name: str) -> None:
    assert RULES.queue("42", f"{HOME}/{name}") == Target(TargetType.QUEUE, f"{HOME}/{name}")


@pytest.mark.parametrize(
    "url",
    [
        f"{HOME}/wechat-kf-deliveries.fifo",
        f"{HOME}/wechat-kf-subscriber-42x",
        f"{HOME}/other",
        f"{HOME}/wechat-kf-subscriber-4-shop",
        f"{HOME}/wechat-kf-subscriber-421-shop",
        f"{HOME}/wechat-kf-subscriber-shop",
        f"{HOME}/wechat-kf-subscriber-43-42-shop",
        f"{HOME}/",
        f"{HOME}",
        f"{HOME}/wechat-kf-subscriber-42-a/../other",
        f"{HOME}0/wechat-kf-subscriber-42-a",
        "https://sqs.cn-north-1.amazonaws.com.cn/999999999999/wechat-kf-subscriber-42-a",
        "https://sqs.cn-northwest-1.amazonaws.com.cn/123456789012/wechat-kf-subscriber-42-a",
        "https://evil.example/123456789012/wechat-kf-subscriber-42-a",
        "http://sqs.cn-north-1.amazonaws.com.cn/123456789012/wechat-kf-subscriber-42-a",
        "https://evil.example/" + HOME + "/wechat-kf-subscriber-42-a",
        "wechat-kf-subscriber-42-a",
        "arn:aws-cn:sqs:cn-north-1:123456789012:wechat-kf-subscriber-42-a",
        "",
    ],
)
def test_any_other_queue_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as refusal:
        RULES.queue("42", url)
    assert refusal.value.members == {"field": "target.queue_url"}


@pytest.mark.parametrize("name", ["wechat-kf-subscriber-42-a b", "wechat-kf-subscriber-42-a?x=1"])
def test_a_name_that_no_queue_can_have_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequestError):
        RULES.queue("42", f"{HOME}/{name}")


@pytest.mark.parametrize("name", ["wechat-kf-subscriber-42-shop", "wechat-kf-subscriber-all-x"])
def test_a_subscription_to_all_merchants_may_use_any_subscribers_queue(name: str) -> None:
    assert RULES.queue("*", f"{HOME}/{name}") == Target(TargetType.QUEUE, f"{HOME}/{name}")
    with pytest.raises(InvalidRequestError):
        RULES.queue("*", f"{HOME}/wechat-kf-deliveries.fifo")


def test_the_bus_is_our_own_and_for_subscriptions_to_all_merchants() -> None:
    assert RULES.event_bus("*") == Target(TargetType.EVENT_BUS, "our-bus")
    with pytest.raises(InvalidRequestError) as refusal:
        RULES.event_bus("42")
    assert refusal.value.members == {"field": "target.type"}


def test_a_webhook_must_be_public_https() -> None:
    url = "https://shop.example.com/hook?key=1"
    assert RULES.webhook(url) == Target(TargetType.WEBHOOK, url)
    with pytest.raises(InvalidRequestError) as refusal:
        RULES.webhook("http://127.0.0.1/hook")
    assert refusal.value.members == {"field": "target.url"}
