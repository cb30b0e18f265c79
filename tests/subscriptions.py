"""The management of subscriptions on fakes."""

from __future__ import annotations

from tests.fake_backlog import InMemoryBacklog, RecordingDrains
from tests.fakes import (
    FakeClock,
    InMemorySubscriptions,
    RecordingAttempts,
    RecordingDeliveries,
)
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import SubscriptionStore


def create_manager(
    store: SubscriptionStore,
    line: RecordingDeliveries,
    clock: FakeClock,
    *,
    backlog: InMemoryBacklog | None = None,
    drains: RecordingDrains | None = None,
    attempts: RecordingAttempts | None = None,
) -> SubscriptionManager:
    """Make a manager; what a test does not look at is made here."""
    return SubscriptionManager(
        store=store,
        deliveries=line,
        backlog=backlog or InMemoryBacklog(InMemorySubscriptions()),
        drains=drains or RecordingDrains(),
        attempts=attempts or RecordingAttempts(),
        clock=clock,
        app_id="wx1",
    )
