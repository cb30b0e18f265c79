"""The subscriptions routes, from the gateway's event to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_backlog import InMemoryBacklog
from tests.fakes import (
    FakeClock,
    InMemorySubscriptions,
    RecordingAttempts,
    RecordingDeliveries,
)
from tests.subscriptions import create_manager
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.api import subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import Parked
from wechat_kf.domain.subscriptions.delivery import Delivery, FailedAttempt
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import (
    AllowedTargets,
    LastError,
    SubscriptionStatus,
)

HOME = "https://sqs.eu-central-1.amazonaws.com/123456789012"
RULES = TargetRules(f"{HOME}/deliveries.fifo", "wechat-kf-subscriber-{business_id}-*", "our-bus")
WEBHOOK = {"target": {"type": "webhook", "url": "https://shop.example.com/hook?key=1"}}
UNKNOWN_ID = "sub_" + "0" * 32

Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def store() -> InMemorySubscriptions:
    return InMemorySubscriptions()


@pytest.fixture
def line() -> RecordingDeliveries:
    return RecordingDeliveries()


@pytest.fixture
def backlog(store: InMemorySubscriptions) -> InMemoryBacklog:
    return InMemoryBacklog(store)


@pytest.fixture
def attempts() -> RecordingAttempts:
    return RecordingAttempts()


@pytest.fixture
def call(
    store: InMemorySubscriptions,
    line: RecordingDeliveries,
    backlog: InMemoryBacklog,
    attempts: RecordingAttempts,
) -> Call:
    """Makes a request: method, path under /merchants, JSON body → status, JSON answer."""
    app = create_app(
        subscription_routes,
        provided={
            SubscriptionManager: create_manager(
                store, line, FakeClock(), backlog=backlog, attempts=attempts
            ),
            AllowedTargets: RULES,
        },
    )

    def request(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": f"/merchants{path}",
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "http": {"method": method, "path": f"/merchants{path}"},
                "stage": "$default",
                "requestId": "r1",
            },
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = app.resolve(event, None)  # type: ignore[arg-type]
        text = answer.get("body")
        return answer["statusCode"], json.loads(text) if text else None

    return request


def subscribed(call: Call, merchant: str = "42", body: Any = None) -> dict[str, Any]:
    status, created = call("POST", f"/{merchant}/subscriptions", body or WEBHOOK)
    assert status == 201, created
    found: dict[str, Any] = created
    return found


def test_a_subscription_is_made_and_shows_its_secret_once(call: Call) -> None:
    created = subscribed(call)
    secret = created.pop("secret")
    assert secret.startswith("whsec_")
    assert created["target"] == WEBHOOK["target"]
    assert created["status"] == "active"
    path = f"/42/subscriptions/{created['subscription_id']}"
    assert call("GET", path) == (200, created)
    assert call("GET", "/42/subscriptions") == (200, {"items": [created], "next_cursor": None})


@pytest.mark.parametrize("path", ["/*/subscriptions", "/%2A/subscriptions"])
def test_a_star_stands_for_all_merchants(call: Call, path: str) -> None:
    status, created = call("POST", path, WEBHOOK)
    assert (status, created["business_id"]) == (201, "*")
    assert len(call("GET", "/*/subscriptions")[1]["items"]) == 1


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (
            {"type": "queue", "queue_url": f"{HOME}/wechat-kf-subscriber-a.fifo"},
            {"type": "queue", "queue_url": f"{HOME}/wechat-kf-subscriber-a.fifo"},
        ),
    ],
)
def test_other_targets_have_no_secret(call: Call, target: Any, shown: Any) -> None:
    created = subscribed(call, "*", body={"target": target})
    assert (created["target"], created["secret"]) == (shown, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "target"),
        ({"target": {}}, "target.type"),
        ({"target": {"type": "pigeon"}}, "target.type"),
        ({"target": {"type": "webhook"}}, "target.url"),
        ({"target": {"type": "event_bus", "url": "x"}}, "target.url"),
        ({"target": {"type": "webhook", "url": "h" * 2049}}, "target.url"),
        ({"target": {"type": "webhook", "url": "http://shop.example.com/"}}, "target.url"),
        ({"target": {"type": "webhook", "url": "https://127.0.0.1/"}}, "target.url"),
        ({"target": {"type": "webhook", "url": "https://localhost/"}}, "target.url"),
        ({"target": {"type": "queue", "queue_url": f"{HOME}/other"}}, "target.queue_url"),
        ({**WEBHOOK, "event_types": ["wechat.kf.nonsense"]}, "event_types.0"),
        ({**WEBHOOK, "event_types": "wechat.kf.message.received"}, "event_types"),
        ({**WEBHOOK, "colour": "red"}, "colour"),
    ],
)
def test_a_bad_subscription_is_refused_by_its_field(call: Call, body: Any, field: str) -> None:
    status, problem = call("POST", "/42/subscriptions", body)
    assert (status, problem["code"], problem["field"]) == (400, "invalid_request", field)
    assert call("GET", "/42/subscriptions")[1]["items"] == []


@pytest.mark.parametrize("merchant", ["abc", "-1", "42*", "**", "4%2A", "1" * 21])
def test_a_business_id_is_a_number_or_a_star(call: Call, merchant: str) -> None:
    status, problem = call("POST", f"/{merchant}/subscriptions", WEBHOOK)
    assert (status, problem["field"]) == (400, "business_id")


def test_the_same_target_twice_is_a_conflict_that_names_the_first(call: Call) -> None:
    first = subscribed(call)
    status, problem = call("POST", "/42/subscriptions", WEBHOOK)
    assert status == 409
    assert problem["subscription_id"] == first["subscription_id"]


def test_pause_choose_resume(call: Call) -> None:
    path = f"/42/subscriptions/{subscribed(call)['subscription_id']}"
    status, paused = call("PATCH", path, {"status": "paused"})
    assert (status, paused["status"], paused["status_reason"]) == (
        200,
        "paused",
        "paused by a caller",
    )
    _, chosen = call("PATCH", path, {"event_types": ["wechat.kf.message.sent"]})
    assert (chosen["status"], chosen["event_types"]) == ("paused", ["wechat.kf.message.sent"])
    _, resumed = call("PATCH", path, {"status": "active", "event_types": []})
    assert (resumed["status"], resumed["event_types"]) == ("active", [])
    assert call("GET", path)[1] == resumed


@pytest.mark.parametrize("body", [{}, {"status": "disabled"}, {"status": "on"}, {"target": {}}, []])
def test_a_bad_change_is_refused(call: Call, body: Any) -> None:
    path = f"/42/subscriptions/{subscribed(call)['subscription_id']}"
    status, problem = call("PATCH", path, body)
    assert (status, problem["code"]) == (400, "invalid_request")


def test_a_test_event_is_lined_up(call: Call, line: RecordingDeliveries) -> None:
    created = subscribed(call)
    status, answer = call("POST", f"/42/subscriptions/{created['subscription_id']}/test")
    assert status == 202
    assert list(line.deliveries) == [(answer["event_id"], created["subscription_id"])]


def test_a_disabled_one_says_so_and_cannot_be_tested(
    call: Call, store: InMemorySubscriptions
) -> None:
    name = subscribed(call)["subscription_id"]
    found = store.get("42", name)
    assert found
    gone = replace(found, status=SubscriptionStatus.DISABLED, status_reason="answered 410")
    store.update(gone)
    shown = call("GET", f"/42/subscriptions/{name}")[1]
    assert (shown["status"], shown["status_reason"]) == ("disabled", "answered 410")
    assert call("POST", f"/42/subscriptions/{name}/test")[0] == 409


def test_health_is_shown(
    call: Call, store: InMemorySubscriptions, backlog: InMemoryBacklog
) -> None:
    name = subscribed(call)["subscription_id"]
    key, now = ("42", name), 1_767_225_600_000
    store.count_failure(key, "e1", LastError(now, "answered 500", EventType.MESSAGE_RECEIVED))
    found = store.get("42", name)
    assert found
    store.move_circuit(found, found.circuit.trip(now))
    backlog.open(key, now)
    for number in (1, 2):
        event = Event(str(number), EventType.MESSAGE_SENT, "wx1", "42", "o1", now, {})
        parked = Parked.of(Delivery(*key, event, now + 1_000, str(number)))
        backlog.park(parked, now)
    backlog.bury(parked, "expired", now)
    health = {
        "failures_in_a_row": 1,
        "failing_since": "2026-01-01T00:00:00.000Z",
        "next_attempt_at": "2026-01-01T00:00:05.000Z",
        "last_error": {
            "at": "2026-01-01T00:00:00.000Z",
            "reason": "answered 500",
            "event_type": "wechat.kf.message.received",
        },
        "waiting": 1,
        "oldest": "2026-01-01T00:00:01.000Z",
        "dead": 1,
    }
    assert call("GET", f"/42/subscriptions/{name}")[1]["health"] == health
    assert call("GET", "/42/subscriptions")[1]["items"][0]["health"] == health


def test_failed_attempts_are_shown(call: Call, attempts: RecordingAttempts) -> None:
    name = subscribed(call)["subscription_id"]
    now = 1_767_225_600_000
    attempts.add(("42", name), FailedAttempt(now, "e1", "t", "timed out", 0, 5_000))
    attempts.add(("42", name), FailedAttempt(now + 1, "e2", "t", "answered 400", 400, 12, "no"))
    status, shown = call("GET", f"/42/subscriptions/{name}/attempts")
    assert status == 200
    assert shown["next_cursor"] is None
    assert shown["items"] == [
        {
            "at": "2026-01-01T00:00:00.001Z",
            "event_id": "e2",
            "event_type": "t",
            "reason": "answered 400",
            "status": 400,
            "took_ms": 12,
            "answer": "no",
        },
        {
            "at": "2026-01-01T00:00:00.000Z",
            "event_id": "e1",
            "event_type": "t",
            "reason": "timed out",
            "status": None,
            "took_ms": 5_000,
            "answer": "",
        },
    ]


def test_a_recovery_is_accepted(
    call: Call, store: InMemorySubscriptions, backlog: InMemoryBacklog
) -> None:
    name = subscribed(call)["subscription_id"]
    call("PATCH", f"/42/subscriptions/{name}", {"status": "paused"})
    body = {"since": "2025-12-24T08:00:00+08:00"}
    status, shown = call("POST", f"/42/subscriptions/{name}/recover", body)
    assert (status, shown["status"]) == (202, "active")
    assert backlog.recovery_of(("42", name)) == 1_766_534_400_000


@pytest.mark.parametrize("since", [None, "yesterday", "2026-01-01", "2026-01-01T00:00:00", {}])
def test_a_recovery_needs_an_instant(call: Call, since: Any) -> None:
    name = subscribed(call)["subscription_id"]
    assert call("POST", f"/42/subscriptions/{name}/recover", {"since": since})[0] == 400


def test_a_test_event_of_a_chosen_type(call: Call, line: RecordingDeliveries) -> None:
    name = subscribed(call)["subscription_id"]
    body = {"event_type": "wechat.kf.message.failed"}
    assert call("POST", f"/42/subscriptions/{name}/test", body)[0] == 202
    assert [one.event.type for one in line.deliveries.values()] == ["wechat.kf.message.failed"]
    assert call("POST", f"/42/subscriptions/{name}/test", {"event_type": "x"})[0] == 400


def test_a_rotated_secret_is_shown_once_with_its_overlap(call: Call) -> None:
    created = subscribed(call)
    status, rotated = call("POST", f"/42/subscriptions/{created['subscription_id']}/rotate-secret")
    assert status == 200
    assert rotated["secret"] != created["secret"]
    assert rotated["previous_secret_until"] == "2026-01-02T00:00:00.000Z"


def test_unsubscribe(call: Call) -> None:
    path = f"/42/subscriptions/{subscribed(call)['subscription_id']}"
    assert call("DELETE", path) == (204, None)
    assert call("DELETE", path)[0] == 404


@pytest.mark.parametrize(
    ("method", "suffix", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"status": "paused"}),
        ("DELETE", "", None),
        ("POST", "/test", None),
        ("GET", "/attempts", None),
        ("POST", "/recover", {"since": "2026-01-01T00:00:00Z"}),
        ("POST", "/rotate-secret", None),
    ],
)
def test_what_does_not_exist_or_is_anothers_is_not_found(
    call: Call, method: str, suffix: str, body: Any
) -> None:
    anothers = subscribed(call, "43")["subscription_id"]
    for name in (UNKNOWN_ID, anothers):
        status, problem = call(method, f"/42/subscriptions/{name}{suffix}", body)
        assert (status, problem["code"]) == (404, "not_found")
    assert call("GET", f"/43/subscriptions/{anothers}")[1]["status"] == "active"
