"""No request of any caller ends in an internal error: 2xx, or 4xx with a problem document."""

from __future__ import annotations

import base64
import json
from collections import defaultdict
from typing import Any, Protocol, cast
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import FakeClock, InMemorySubscriptions, RecordingDeliveries
from tests.merchants_app import MerchantsApp
from tests.messages_app import MessagesApp
from tests.subscriptions import create_manager
from tests.unit.api.http_events import http_event
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.api import subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.api.route_table import ROUTES
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import AllowedTargets

NO = cast(Any, None)
"""No context."""

HOME = "https://sqs.eu-central-1.amazonaws.com/123456789012"
RULES = TargetRules(f"{HOME}/deliveries.fifo", "wechat-kf-subscriber-*", "our-bus")

GOOD_BODIES: list[dict[str, Any]] = [
    {"account_name": "shop", "nickname": "苹果", "external_id": "k", "icon_media_id": "m"},
    {"nickname": "苹果", "icon": "iVBORw0KGgo=", "status": "inactive"},
    {"openid": "buyer", "message": {"type": "text", "text": "您好"}, "delivery": "at_most_once"},
    {"openids": ["b1", "b2"], "message": {"type": "image", "media_id": "m"}},
    {"openid": "buyer", "message": {"type": "menu", "head": "", "items": [], "tail": ""}},
    {"openid": "buyer", "typing": True, "command": "Typing"},
    {"target": {"type": "webhook", "url": "https://shop.example.com/hook"}, "types": []},
    {"target": {"type": "queue", "queue_url": f"{HOME}/wechat-kf-subscriber-1"}},
    {"target": {"type": "event_bus"}, "events": ["wechat.kf.message.received"]},
]
NAMES = sorted({name for body in GOOD_BODIES for name in body} | {"type", "text", "url"})

TEXTS = st.text(max_size=30) | st.text(st.characters(codec=None, exclude_categories=()), max_size=9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | TEXTS, inner, max_size=3)
    ),
    max_leaves=6,
)
BENT_BODIES = st.builds(
    lambda good, bent: {**good, **bent},
    st.sampled_from(GOOD_BODIES),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2),
)
URLS = st.builds(
    "".join,
    st.lists(
        st.sampled_from(
            [
                "https://",
                "http://",
                "shop.example.com",
                "127.0.0.1",
                "[::1]",
                "@",
                "#",
                "?",
                "/",
                "\\",
            ]
        )
        | st.sampled_from(
            [":443", ":0", ":99999", "%00", "\t", "localhost", "169.254.169.254", "["]
        )
        | TEXTS,
        max_size=6,
    ),
)
TARGETS = st.builds(
    lambda kind, name, url: {"target": {"type": kind, name: url}},
    st.sampled_from(["webhook", "queue", "event_bus", "mail"]),
    st.sampled_from(["url", "queue_url"]),
    URLS,
)
BODIES = (
    (BENT_BODIES | TARGETS | VALUES).map(json.dumps)
    | TEXTS
    | st.binary(max_size=60)
    | st.sampled_from(["[" * 3000, '{"a":' * 3000, "9" * 5000, "1e999", "\ufeff{}", "{" * 9])
)
REQUESTS = st.fixed_dictionaries(
    {
        "part": TEXTS.filter(bool)
        | st.sampled_from(["42", "0", "*", "..", "a/b", "%2e%2e", "sync"]),
        "body": BODIES | st.none(),
        "query": st.sampled_from(["limit", "cursor", "external_id", "account_name", "status", "x"]),
        "value": TEXTS | st.sampled_from(["0", "-1", "101", "1e9", "eyJhIjogMX0=", "W10="]),
        "key": TEXTS | st.sampled_from(["k1", "k" * 300]),
        "kind": st.sampled_from(["application/json", "text/plain", "", "image/png", "multipart/x"]),
    }
)


class App(Protocol):
    """What the functions' resolvers have in common."""

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]: ...


def subscriptions_app() -> App:
    use_case = create_manager(InMemorySubscriptions(), RecordingDeliveries(), FakeClock())
    return cast(
        App,
        create_app(
            subscription_routes, provided={SubscriptionManager: use_case, AllowedTargets: RULES}
        ),
    )


def messages_app() -> App:
    messages = MessagesApp(allow_menus=True)
    messages.account.pictures = defaultdict(bytes)
    return cast(App, messages._app)


APPS: dict[str, App] = {
    "merchants": cast(App, MerchantsApp()._app),
    "messages": messages_app(),
    "subscriptions": subscriptions_app(),
}


def routes_of(app: App) -> list[tuple[str, str]]:
    """The (method, path) that it knows."""
    return [
        (method, path)
        for path, methods in ROUTES.items()
        for method in methods
        if not _unknown(app.resolve(http_event(method, path), NO))
    ]


def _unknown(answer: dict[str, Any]) -> bool:
    return "no_such_route" in str(answer["body"])


OWN = {name: routes_of(app) for name, app in APPS.items()}


def event_of(method: str, request: dict[str, Any]) -> dict[str, Any]:
    """As the gateway would hand it over: the path decoded, and a body of bytes in base64."""
    path = request["path"]
    for name in ("business_id", "subscription_id", "message_id", "openid", "media_id"):
        path = path.replace(f"{{{name}}}", request["part"])
    query = f"{request['query']}={quote(request['value'], errors='surrogatepass')}"
    headers = {"content-type": request["kind"], "idempotency-key": request["key"]}
    body = request["body"]
    event = http_event(method, path.replace("{broadcast_id}", "b"), query=query, headers=headers)
    wrapped = isinstance(body, bytes)
    event["body"] = base64.b64encode(body).decode() if wrapped else body
    event["isBase64Encoded"] = wrapped
    return event


def test_every_route_but_the_push_path_is_tried() -> None:
    tried = [route for routes in OWN.values() for route in routes]
    everything = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert everything - set(tried) == {("GET", "/wechat/push"), ("POST", "/wechat/push")}


@pytest.mark.parametrize("name", sorted(APPS))
@settings(max_examples=300)
@given(data=st.data(), request=REQUESTS)
def test_any_request_is_answered_or_refused(
    name: str, data: st.DataObject, request: dict[str, Any]
) -> None:
    method, path = data.draw(st.sampled_from(OWN[name]))
    answer = APPS[name].resolve(event_of(method, {**request, "path": path}), NO)
    assert answer["statusCode"] < 500, answer["body"]
    if answer["statusCode"] >= 400:
        problem = json.loads(answer["body"])
        assert {"code", "status", "title"} <= set(problem)
        answer["body"].encode()


@pytest.mark.parametrize("name", sorted(APPS))
@pytest.mark.parametrize("body", ["9" * 5000, '{"openid": ' + "9" * 5000 + "}", "[" * 100_000])
def test_json_that_python_cannot_read_is_the_callers_mistake(name: str, body: str) -> None:
    writing = [(method, path) for method, path in OWN[name] if method in ("POST", "PATCH")]
    answers = [
        APPS[name].resolve(http_event(method, path.replace("{", "").replace("}", ""), body), NO)
        for method, path in writing
    ]
    assert max(answer["statusCode"] for answer in answers) < 500
    assert 400 in {int(answer["statusCode"]) for answer in answers}


@pytest.mark.parametrize("name", sorted(APPS))
def test_good_bodies_get_past_the_checks(name: str) -> None:
    """Else the property above would hold of a door that is always shut."""
    statuses = {
        APPS[name].resolve(http_event(method, path.replace("{business_id}", "42"), body), NO)[
            "statusCode"
        ]
        for method, path in OWN[name]
        for body in GOOD_BODIES
    }
    assert statuses & {200, 201, 202}
