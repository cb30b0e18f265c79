"""What callers do with subscriptions."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from tests.fake_backlog import InMemoryBacklog, RecordingDrains
from tests.fakes import (
    FakeClock,
    InMemorySubscriptions,
    RecordingAttempts,
    RecordingDeliveries,
)
from tests.subscriptions import create_manager
from wechat_kf.app_errors import ConflictError, NotFoundError
from wechat_kf.domain.clock import DAY
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.delivery import Delivery, FailedAttempt
from wechat_kf.domain.subscriptions.management import (
    MOST_ATTEMPTS_SHOWN,
    SubscriptionManager,
    create_secret,
)
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)

WEBHOOK = Target(TargetType.WEBHOOK, "https://shop.example.com/hook")
BUS = Target(TargetType.EVENT_BUS, "our-bus")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> InMemorySubscriptions:
    return InMemorySubscriptions()


@pytest.fixture
def line() -> RecordingDeliveries:
    return RecordingDeliveries()


@pytest.fixture
def subscriptions(
    store: InMemorySubscriptions, line: RecordingDeliveries, clock: FakeClock
) -> SubscriptionManager:
    return create_manager(store, line, clock)


def test_a_new_webhook_is_active_and_has_a_secret_of_its_own(
    subscriptions: SubscriptionManager,
) -> None:
    first = subscriptions.create("42", WEBHOOK)
    second = subscriptions.create("43", WEBHOOK)
    assert first.status is SubscriptionStatus.ACTIVE
    assert first.secrets != second.secrets
    assert first.subscription_id != second.subscription_id
    assert subscriptions.get("42", first.subscription_id) == first


def test_a_secret_is_32_random_bytes_in_the_form_of_standard_webhooks() -> None:
    secret = create_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert secret != create_secret()


def test_only_webhooks_have_a_secret(subscriptions: SubscriptionManager) -> None:
    bus = subscriptions.create("42", BUS)
    assert bus.secrets == ()
    with pytest.raises(ConflictError):
        subscriptions.rotate_secret("42", bus.subscription_id)


def test_a_target_is_subscribed_once_per_merchant(subscriptions: SubscriptionManager) -> None:
    first = subscriptions.create("42", WEBHOOK)
    with pytest.raises(ConflictError) as conflict:
        subscriptions.create("42", WEBHOOK)
    assert conflict.value.members == {"subscription_id": first.subscription_id}


def test_there_is_a_limit_per_merchant(subscriptions: SubscriptionManager) -> None:
    for number in range(20):
        subscriptions.create("42", replace(WEBHOOK, address=f"https://shop{number}.example.com/"))
    with pytest.raises(ConflictError):
        subscriptions.create("42", WEBHOOK)
    subscriptions.create("43", WEBHOOK)


def test_a_list_is_in_order_of_creation_and_without_secrets(
    subscriptions: SubscriptionManager, clock: FakeClock
) -> None:
    created = []
    for number in range(5):
        target = replace(WEBHOOK, address=f"https://shop{number}.example.com/")
        created.append(subscriptions.create("42", target).subscription_id)
        clock.advance(1)
    found = subscriptions.list("42")
    assert [one.subscription_id for one in found] == created
    assert {one.secrets for one in found} == {()}


def test_another_merchants_subscription_is_not_found(subscriptions: SubscriptionManager) -> None:
    ours = subscriptions.create("42", WEBHOOK).subscription_id
    for attempt in (
        lambda: subscriptions.get("43", ours),
        lambda: subscriptions.remove("43", ours),
        lambda: subscriptions.change("43", ours, status=SubscriptionStatus.PAUSED),
        lambda: subscriptions.rotate_secret("43", ours),
        lambda: subscriptions.test("43", ours),
    ):
        with pytest.raises(NotFoundError):
            attempt()
    assert subscriptions.get("42", ours).status is SubscriptionStatus.ACTIVE


def test_a_removed_one_is_gone(subscriptions: SubscriptionManager) -> None:
    ours = subscriptions.create("42", WEBHOOK).subscription_id
    subscriptions.remove("42", ours)
    with pytest.raises(NotFoundError):
        subscriptions.remove("42", ours)


def test_a_change_leaves_the_rest_as_it_is(subscriptions: SubscriptionManager) -> None:
    created = subscriptions.create("42", WEBHOOK, frozenset({EventType.MESSAGE_SENT}))
    paused = subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.PAUSED)
    assert paused.status_reason == "paused by a caller"
    assert paused.event_types == {EventType.MESSAGE_SENT}
    all_types = subscriptions.change("42", created.subscription_id, event_types=frozenset())
    assert all_types.event_types == frozenset()
    assert all_types.status is SubscriptionStatus.PAUSED
    assert all_types.secrets == created.secrets
    assert subscriptions.get("42", created.subscription_id) == all_types


@pytest.mark.parametrize("stopped", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_what_resumes_starts_afresh(
    subscriptions: SubscriptionManager,
    store: InMemorySubscriptions,
    clock: FakeClock,
    stopped: SubscriptionStatus,
) -> None:
    created = subscriptions.create("42", WEBHOOK)
    store.update(replace(created, status=stopped, status_reason="failing: answered 500"))
    store.move_circuit(created, Circuit(50, 1, 9, clock() + DAY, 0))
    clock.advance(1_000)
    resumed = subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.ACTIVE)
    assert (resumed.status, resumed.status_reason) == (SubscriptionStatus.ACTIVE, "")
    assert resumed.circuit == Circuit(recovered_at=clock())
    assert subscriptions.get("42", created.subscription_id) == resumed


def test_a_caller_can_close_the_circuit_of_an_active_one(
    subscriptions: SubscriptionManager, store: InMemorySubscriptions, clock: FakeClock
) -> None:
    created = subscriptions.create("42", WEBHOOK)
    store.move_circuit(created, Circuit(5, 1, 1, clock() + DAY, 0))
    resumed = subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.ACTIVE)
    assert resumed.circuit.closed


def test_a_change_that_changes_nothing_is_no_revision(
    subscriptions: SubscriptionManager, store: InMemorySubscriptions
) -> None:
    created = subscriptions.create("42", WEBHOOK)
    same = subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.ACTIVE)
    assert (same.revision, same.circuit.closed) == (created.revision, True)


def test_a_resume_drains_at_once_what_waits(
    store: InMemorySubscriptions, line: RecordingDeliveries, clock: FakeClock
) -> None:
    backlog, drains = InMemoryBacklog(store), RecordingDrains()
    subscriptions = create_manager(store, line, clock, backlog=backlog, drains=drains)
    created = subscriptions.create("42", WEBHOOK)
    subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.ACTIVE)
    assert drains.woken == [], "nothing waits"
    backlog.open(created.key, clock())
    subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.PAUSED)
    assert drains.woken == []
    subscriptions.change("42", created.subscription_id, status=SubscriptionStatus.ACTIVE)
    assert drains.woken == [(created.key, None)]


def test_a_recovery_resumes_and_is_asked_of_the_drain(
    store: InMemorySubscriptions, line: RecordingDeliveries, clock: FakeClock
) -> None:
    backlog, drains = InMemoryBacklog(store), RecordingDrains()
    subscriptions = create_manager(store, line, clock, backlog=backlog, drains=drains)
    created = subscriptions.create("42", WEBHOOK)
    stopped = replace(created, status=SubscriptionStatus.PAUSED, status_reason="failing: x")
    store.update(stopped)
    store.move_circuit(created, Circuit(50, 1, 9, clock() + DAY, 0))
    recovering = subscriptions.recover("42", created.subscription_id, 7)
    assert (recovering.status, recovering.circuit.closed) == (SubscriptionStatus.ACTIVE, True)
    assert drains.woken == [(created.key, None)]
    assert backlog.recovery_of(created.key) == 7
    with pytest.raises(NotFoundError):
        subscriptions.recover("43", created.subscription_id, 7)


def test_failed_attempts_are_listed_newest_first(
    store: InMemorySubscriptions, line: RecordingDeliveries, clock: FakeClock
) -> None:
    attempts = RecordingAttempts()
    subscriptions = create_manager(store, line, clock, attempts=attempts)
    created = subscriptions.create("42", WEBHOOK)
    for at in range(MOST_ATTEMPTS_SHOWN + 5):
        attempts.add(created.key, FailedAttempt(at, "e", "t", "answered 500", 500, 1))
    listed = subscriptions.list_attempts("42", created.subscription_id)
    assert [one.at for one in listed] == list(range(MOST_ATTEMPTS_SHOWN + 4, 4, -1))
    with pytest.raises(NotFoundError):
        subscriptions.list_attempts("43", created.subscription_id)


@pytest.mark.parametrize("event_type", list(EventType))
@pytest.mark.parametrize("business_id", ["42", ANY_MERCHANT])
def test_a_test_event_can_be_of_any_type_and_says_that_it_is_one(
    subscriptions: SubscriptionManager, business_id: str, event_type: EventType
) -> None:
    ours = subscriptions.create(business_id, WEBHOOK)
    event = subscriptions.test(business_id, ours.subscription_id, event_type)
    assert event.type == event_type
    assert event.business_id == (MAIN_ACCOUNT if business_id == ANY_MERCHANT else "42")
    assert (event.data.get("test") is True) == (event_type is not EventType.SUBSCRIPTION_TEST)
    assert Event.from_cloudevent(event.to_cloudevent()) == event
    assert event.openid


def test_of_two_changes_at_once_one_is_told_to_repeat(
    subscriptions: SubscriptionManager, store: InMemorySubscriptions
) -> None:
    ours = subscriptions.create("42", WEBHOOK)

    def meanwhile() -> str:
        subscriptions.rotate_secret("42", ours.subscription_id)
        return create_secret()

    with pytest.raises(ConflictError):
        replace(subscriptions, make_secret=meanwhile).rotate_secret("42", ours.subscription_id)
    assert subscriptions.get("42", ours.subscription_id).revision == 1


def test_a_rotated_secret_signs_beside_the_new_one_for_a_day(
    subscriptions: SubscriptionManager, clock: FakeClock
) -> None:
    created = subscriptions.create("42", WEBHOOK)
    first = subscriptions.rotate_secret("42", created.subscription_id)
    assert first.signing_secrets(clock()) == (first.secrets[0], created.secrets[0])
    assert first.signing_secrets(clock() + DAY) == (first.secrets[0],)
    second = subscriptions.rotate_secret("42", created.subscription_id)
    assert second.secrets == (second.secrets[0], first.secrets[0]), "the oldest is gone"


def test_a_test_event_takes_the_usual_way_to_this_one_alone(
    subscriptions: SubscriptionManager, line: RecordingDeliveries, clock: FakeClock
) -> None:
    ours = subscriptions.create("42", WEBHOOK, frozenset({EventType.MESSAGE_SENT}))
    event = subscriptions.test("42", ours.subscription_id)
    again = subscriptions.test("42", ours.subscription_id)
    assert event.id != again.id
    assert event.type == EventType.SUBSCRIPTION_TEST
    assert list(line.deliveries.values()) == [
        Delivery("42", ours.subscription_id, one, clock()) for one in (event, again)
    ]
    assert event.to_cloudevent()["subject"], "CloudEvents allows no empty subject"


def test_a_test_of_a_subscription_to_all_merchants_comes_from_the_main_account(
    subscriptions: SubscriptionManager,
) -> None:
    ours = subscriptions.create(ANY_MERCHANT, WEBHOOK)
    assert subscriptions.test(ANY_MERCHANT, ours.subscription_id).business_id == MAIN_ACCOUNT


@pytest.mark.parametrize("status", [SubscriptionStatus.PAUSED, SubscriptionStatus.DISABLED])
def test_what_is_not_active_cannot_be_tested(
    subscriptions: SubscriptionManager,
    store: InMemorySubscriptions,
    line: RecordingDeliveries,
    status: SubscriptionStatus,
) -> None:
    ours: Subscription = subscriptions.create("42", WEBHOOK)
    store.update(replace(ours, status=status))
    with pytest.raises(ConflictError):
        subscriptions.test("42", ours.subscription_id)
    assert not line.deliveries
