"""The published JSON Schemas of events, against the events that the code makes."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from generators.event_schemas import ASYNCAPI_FILE, SCHEMAS
from tests.pushes import MESSAGES, Console
from tests.unit.docs.test_events_page import EVENTS
from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.subscriptions.sample_events import make_sample_event
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType


def validator(event_type: str, *, closed: bool = False) -> Draft202012Validator:
    """The validator of a type; `closed` refuses members that no schema names."""
    document = json.loads((SCHEMAS / f"{event_type}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(
        close(document) if closed else document, format_checker=FormatChecker()
    )


def close(document: dict[str, Any]) -> dict[str, Any]:
    closed = copy.deepcopy(document)
    for one in [closed, closed["properties"]["data"], *closed.get("$defs", {}).values()]:
        if "properties" in one:
            one["additionalProperties"] = False
    return closed


def made_events() -> Iterator[Event]:
    for business_id in ("42", ANY_MERCHANT):
        subscription = Subscription(business_id, "sub_1", Target(TargetType.QUEUE, "queue"))
        for event_type in EventType:
            yield make_sample_event(event_type, subscription, "wx1", 1_795_712_430_874)


def test_there_is_one_for_each_type() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(EventType)


@pytest.mark.parametrize(
    "event", list(made_events()), ids=lambda event: f"{event.type}-{event.business_id}"
)
def test_a_test_event_has_the_form(event: Event) -> None:
    validator(event.type, closed=True).validate(event.to_cloudevent())


@pytest.mark.parametrize("push_format", ["xml", "json"])
@pytest.mark.parametrize("name", MESSAGES)
def test_an_event_of_a_push_has_the_form(name: str, push_format: str) -> None:
    console = Console(format=push_format)
    for more in ({}, {"FieldOfTomorrow": "1"}):
        request = console.push({**MESSAGES[name], "BusinessId": 42, **more})
        event = to_event(console.opener().open(*request), "wx1")
        validator(event.type, closed=True).validate(event.to_cloudevent())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_an_event_as_it_was_captured_has_the_form(event: dict[str, Any]) -> None:
    validator(event["type"], closed=True).validate(event)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["type"])
def test_an_event_that_lacks_a_member_has_not(event: dict[str, Any]) -> None:
    check = validator(event["type"])
    optional = {"broadcast_id", "test", "extra"}
    for name in event["data"].keys() - optional:
        lacking = {**event, "data": {k: v for k, v in event["data"].items() if k != name}}
        assert not check.is_valid(lacking), name


def test_asyncapi_names_every_schema() -> None:
    document = yaml.safe_load(ASYNCAPI_FILE.read_text(encoding="utf-8"))
    messages = document["components"]["messages"].values()
    for message in messages:
        assert (ASYNCAPI_FILE.parent / message["payload"]["schema"]["$ref"]).exists()
    assert {message["name"] for message in messages} == set(EventType)
