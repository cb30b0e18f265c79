"""The two functions behind the HTTP API, as they are wired."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, cast

import pytest
from aws_lambda_powertools.event_handler.depends import build_dependency_tree

from tests.unit.api.http_events import document_of, http_event
from wechat_kf import bootstrap
from wechat_kf.api.gateway_path import DEFAULT

ENVIRONMENT = {
    "APP_ID": "wx1234567890abcdef",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_SECRET_ACCESS_KEY": "none",
    "BACKLOG_TABLE": "backlog",
    "BROADCASTS_QUEUE_URL": "https://sqs/broadcasts",
    "CONVERSATIONS_TABLE": "conversations",
    "DELIVERIES_QUEUE_URL": "https://sqs/deliveries",
    "DRAINS_QUEUE_URL": "https://sqs/drains",
    "EVENT_BUS_NAME": "bus",
    "INBOUND_QUEUE_URL": "https://sqs/inbound",
    "MERCHANTS_TABLE": "merchants",
    "MESSAGES_TABLE": "messages",
    "OUTBOUND_MAX_AGE_SECONDS": "900",
    "OUTBOUND_QUEUE_URL": "https://sqs/outbound",
    "SUBSCRIBER_QUEUE_NAME_PATTERN": "wechat-kf-subscriber-*",
    "SUBSCRIPTIONS_TABLE": "subscriptions",
    "TOKENS_TABLE": "tokens",
    "TOKEN_FUNCTION": "token",
    "TRANSCRIPT_RETENTION_DAYS": "30",
}

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    loaded = []

    def load_handler(function: str) -> ModuleType:
        name = f"functions.{function}.{function}_handler"
        loaded.append(name)
        return importlib.import_module(name)

    yield load_handler
    for name in loaded:
        sys.modules.pop(name, None)
    for client in (bootstrap.dynamodb, bootstrap.sqs):
        client.cache_clear()


@pytest.mark.parametrize("function", ["merchants", "messages"])
def test_whatever_a_route_needs_is_provided(load: Load, function: str) -> None:
    app = cast(Any, load(function)).APP
    routes = [*app._static_routes, *app._dynamic_routes]
    assert routes
    for route in routes:
        for node in build_dependency_tree(route.func).dependencies:
            assert node.depends.dependency in app.dependency_overrides, route.func.__name__


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/merchants/42", 404),
        ("DELETE", "/merchants/42/", 404),
        ("GET", "/merchants", 404),
        ("PUT", "/merchants/42", 405),
        ("GET", "/nothing", 404),
    ],
)
def test_the_default_route_runs_none_of_the_routes(
    load: Load, method: str, path: str, status: int
) -> None:
    event = http_event(method, path)
    assert event["routeKey"] == DEFAULT
    assert load("merchants").handler(event, None)["statusCode"] == status


def test_an_odd_path_is_refused_on_a_route_of_the_gateways(load: Load) -> None:
    event = http_event("DELETE", "/merchants/43\n", route="/merchants/{business_id}")
    answer = load("merchants").handler(event, None)
    assert (answer["statusCode"], document_of(answer)["code"]) == (404, "no_such_route")
