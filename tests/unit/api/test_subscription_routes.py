"""The subscriptions routes, from the gateway's event to the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes import FakeClock, InMemorySubscriptions, RecordingDeliveries
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.api import subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import AllowedTargets, SubscriptionStatus

HOME = "https://sqs.eu-central-1.amazonaws.com/123456789012"
RULES = TargetRules(f"{HOME}/deliveries.fifo", "wechat-kf-subscriber-*", "our-bus")
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
def call(store: InMemorySubscriptions, line: RecordingDeliveries) -> Call:
    """Makes a request: method, path under /merchants, JSON body → status, JSON answer."""
    app = create_app(
        subscription_routes,
        provided={
            SubscriptionManager: SubscriptionManager(store, line, FakeClock(), "wx1"),
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
        ({"type": "event_bus"}, {"type": "event_bus"}),
        (
            {"type": "queue", "queue_url": f"{HOME}/wechat-kf-subscriber-a.fifo"},
            {"type": "queue", "queue_url": f"{HOME}/wechat-kf-subscriber-a.fifo"},
        ),
    ],
)
def test_other_targets_have_no_secret(call: Call, target: Any, shown: Any) -> None:
    created = subscribed(call, body={"target": target})
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


def test_health_is_shown(call: Call, store: InMemorySubscriptions) -> None:
    name = subscribed(call)["subscription_id"]
    now = 1_767_225_600_000
    store.count_failure("42", name, now)
    found = store.get("42", name)
    assert found
    store.move_circuit(found, found.circuit.tripped(now))
    assert call("GET", f"/42/subscriptions/{name}")[1]["health"] == {
        "failures_in_a_row": 1,
        "failing_since": "2026-01-01T00:00:00.000Z",
        "next_attempt_at": "2026-01-01T00:00:05.000Z",
    }


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
