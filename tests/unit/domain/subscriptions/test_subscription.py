"""Who wants what, and what a webhook is signed with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)

EVENT = Event("e1", EventType.MESSAGE_RECEIVED, "wx1", "42", "o1", 0, {})
OURS = Subscription("42", "sub_1", Target(TargetType.WEBHOOK, "https://shop.example.com/"))


def test_a_merchants_subscription_wants_that_merchants_events() -> None:
    assert OURS.wants(EVENT)
    assert not OURS.wants(replace(EVENT, business_id="43"))


def test_a_subscription_to_all_merchants_wants_every_merchants_events() -> None:
    everyone = replace(OURS, business_id=ANY_MERCHANT)
    assert everyone.wants(EVENT)
    assert everyone.wants(replace(EVENT, business_id="0"))


def test_chosen_types_are_all_it_wants() -> None:
    choosy = replace(OURS, event_types=frozenset({EventType.MESSAGE_SENT}))
    assert not choosy.wants(EVENT)
    assert choosy.wants(replace(EVENT, type=EventType.MESSAGE_SENT))


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (SubscriptionStatus.ACTIVE, True),
        (SubscriptionStatus.PAUSED, True),
        (SubscriptionStatus.DISABLED, False),
    ],
)
def test_a_paused_one_collects_and_a_disabled_one_does_not(
    status: SubscriptionStatus, wanted: bool
) -> None:
    assert replace(OURS, status=status).wants(EVENT) is wanted


def test_a_replaced_secret_signs_until_its_time_is_over() -> None:
    rotated = replace(OURS, secrets=("new", "old"), previous_secret_until=100)
    assert rotated.signing_secrets(99) == ("new", "old")
    assert rotated.signing_secrets(100) == ("new",)
    assert replace(OURS, secrets=("only",)).signing_secrets(0) == ("only",)


def test_secrets_are_not_shown() -> None:
    assert "whsec_x" not in repr(replace(OURS, secrets=("whsec_x",)))
