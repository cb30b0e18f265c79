"""events/: every function has samples, and they are what its own code reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from benchmarks.template_environment import function_names
from generators.template_file import read_template
from tests.merchants_app import MerchantsApp
from tests.messages_app import NO_CONTEXT, MessagesApp
from wechat_kf.adapters.aws.broadcast_queue import Expansion, Submission, broadcast_order
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.inbound_queue import event_from_body, is_delivered
from wechat_kf.adapters.aws.outbound_queue import outbound_from_body
from wechat_kf.adapters.aws.queue_batch import Record
from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.api.broadcast_models import SendMessagesEvent
from wechat_kf.api.subscription_models import CreateSubscriptionRequest
from wechat_kf.domain.events import Event, EventType
from wechat_kf.wechat.push import Push, PushKeys, PushMode, PushOpener, PushRefusedError, Refusal
from wechat_kf_cli.stack.state import ROOT

EVENTS = ROOT / "events"
FILES = sorted(EVENTS.glob("*.json"))
PAGE = (EVENTS / "README.md").read_text(encoding="utf-8")
SIGNED_AT = 1_767_225_600
NAME_OF_A_SAMPLE = re.compile(r"([a-z]+)-[a-z-]+")
BROADCASTS = ("broadcasts-event", "broadcasts-queue")


def sample(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def record_of(name: str) -> Record:
    (record,) = sample(name)["Records"]
    return Record.from_event(record)


def documented(name: str) -> str:
    """A key, from the table of the page."""
    found = re.search(rf"^\| {name} \| `(.+)` \|$", PAGE, flags=re.MULTILINE)
    assert found, f"{name} is not documented"
    return found[1]


def opener(now: int = SIGNED_AT) -> PushOpener:
    return PushOpener(
        app_id=documented("AppID"),
        mode=PushMode.SECURE,
        keys=[PushKeys(documented("Token"), documented("EncodingAESKey"))],
        clock=lambda: now,
    )


def opened(name: str, now: int = SIGNED_AT) -> Push:
    event = sample(name)
    return opener(now).open(event["body"].encode(), event["queryStringParameters"])


def test_every_function_has_a_sample_and_every_sample_a_function() -> None:
    names = [NAME_OF_A_SAMPLE.fullmatch(path.stem) for path in FILES]
    assert {name[1] for name in names if name} == set(function_names())
    assert all(names)


@pytest.mark.parametrize("name", [path.stem for path in FILES if "routeKey" in sample(path.stem)])
def test_a_sample_of_the_api_names_a_route_of_the_template(name: str) -> None:
    event = sample(name)
    method, route = event["routeKey"].split()
    assert (method, route) in {
        (source["Properties"].get("Method"), source["Properties"].get("Path"))
        for resource in read_template()["Resources"].values()
        for source in resource.get("Properties", {}).get("Events", {}).values()
        if source["Type"] == "HttpApi"
    }
    assert re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), event["rawPath"])


def test_the_url_verification_is_answered_with_the_echo() -> None:
    query = sample("push-verify")["queryStringParameters"]
    assert opener().verify_url(query) == query["echostr"]


@pytest.mark.parametrize("name", ["push-message-xml", "push-message-json"])
def test_the_pushed_message_opens_with_the_documented_keys(name: str) -> None:
    event = to_event(opened(name), documented("AppID"))
    assert event.type == EventType.MESSAGE_RECEIVED
    assert event.business_id == "42"
    assert event.data["message"]["type"] == "text"


def test_the_pushed_entering_opens_with_the_documented_keys() -> None:
    assert opened("push-enter-xml").event == "user_enter_tempsession"


def test_years_later_the_push_is_stale() -> None:
    with pytest.raises(PushRefusedError) as refused:
        opened("push-message-xml", SIGNED_AT + 601)
    assert refused.value.refusal is Refusal.STALE


@pytest.mark.parametrize(
    ("inbound", "push"),
    [("inbound-message", "push-message-xml"), ("inbound-enter", "push-enter-xml")],
)
def test_what_inbound_reads_is_what_push_would_have_queued(inbound: str, push: str) -> None:
    record = record_of(inbound)
    event = event_from_body(record.body)
    assert event == to_event(opened(push), documented("AppID"))
    assert record.group_id == event.conversation


def test_the_outcome_is_a_valid_event() -> None:
    event = delivery_from_body(record_of("deliveries-outcome").body).event
    assert event.type == EventType.MESSAGE_SENT
    assert Event.from_cloudevent(event.to_cloudevent()) == event


def test_an_event_to_record_only_is_the_inbound_event() -> None:
    body = record_of("inbound-unrecorded").body
    assert is_delivered(body)
    assert event_from_body(body) == event_from_body(record_of("inbound-message").body)


def test_the_delivery_carries_the_inbound_event() -> None:
    delivery = delivery_from_body(record_of("deliveries-message").body)
    assert delivery.event == event_from_body(record_of("inbound-message").body)
    assert delivery.subscription_id.startswith("sub_")


def test_the_outbound_message_is_the_one_whose_outcome_is_published() -> None:
    business_id, message_id = outbound_from_body(record_of("outbound-message").body)
    outcome = delivery_from_body(record_of("deliveries-outcome").body).event.data
    assert (business_id, message_id) == (outcome["business_id"], outcome["message_id"])


def test_an_accepted_broadcast_is_expanded() -> None:
    record = record_of("broadcasts-accepted")
    assert isinstance(broadcast_order(record.body, record.message_id), Expansion)


@pytest.mark.parametrize("name", BROADCASTS)
def test_a_broadcast_by_event_or_queue_is_one_that_can_be_accepted(name: str) -> None:
    record = record_of(name)
    order = broadcast_order(record.body, record.message_id)
    assert isinstance(order, Submission)
    request = SendMessagesEvent.model_validate(order.document).to_domain("42", order.key)
    assert len(request.openids) == 2


@pytest.mark.parametrize(("name", "status"), [("merchants-register", 201), ("merchants-list", 200)])
def test_the_merchants_function_takes_it(name: str, status: int) -> None:
    assert MerchantsApp()._app.resolve(sample(name), NO_CONTEXT)["statusCode"] == status


def test_the_subscription_has_the_form_of_one() -> None:
    body = CreateSubscriptionRequest.model_validate_json(sample("merchants-subscribe")["body"])
    assert body.target.type == "webhook"


@pytest.mark.parametrize(
    ("name", "status"),
    [("messages-send", 202), ("messages-broadcast", 202), ("messages-conversations", 200)],
)
def test_the_messages_function_takes_it(name: str, status: int) -> None:
    assert MessagesApp()._app.resolve(sample(name), NO_CONTEXT)["statusCode"] == status


def test_the_schedules_send_what_the_samples_say() -> None:
    inputs = re.findall(r"Input: '(\{.+\})'", (ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert sample("token-warm-up") in map(json.loads, inputs)
    assert sample("sweeper-sync-merchants") in map(json.loads, inputs)
    assert sample("sweeper-sweep")["detail-type"] == "Scheduled Event"


def test_a_worker_names_the_refused_token_by_its_fingerprint() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", sample("token-refused")["refused"])
    assert sample("token-check") == {"check": True}
