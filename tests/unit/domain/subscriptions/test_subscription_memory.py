"""What a worker may know by heart of a subscription, and what it must look up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.fakes import FakeClock, InMemorySubscriptions
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

ACTIVE = Subscription("42", "s1", Target(TargetType.WEBHOOK, "https://shop.test/hook"))


def test_an_active_one_is_known_for_a_while(clock: FakeClock) -> None:
    store = InMemorySubscriptions()
    store.add(ACTIVE)
    memory = SubscriptionMemory(store, clock, ttl_ms=3_000)
    assert memory.get("42", "s1") == ACTIVE
    store.remove("42", "s1")
    clock.advance(2_999)
    assert memory.get("42", "s1") == ACTIVE
    clock.advance(1)
    assert memory.get("42", "s1") is None


@pytest.mark.parametrize("status", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_one_that_is_active_again_is_so_at_once(
    clock: FakeClock, status: SubscriptionStatus
) -> None:
    store = InMemorySubscriptions()
    store.add(replace(ACTIVE, status=status))
    memory = SubscriptionMemory(store, clock)
    assert memory.get("42", "s1") == replace(ACTIVE, status=status)
    store.add(ACTIVE)
    assert memory.get("42", "s1") == ACTIVE


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
