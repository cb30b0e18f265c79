"""Pushes on the deployed stack: through the gateway and the queues to a subscriber's webhook."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests

from tests.e2e.deployed_functions import with_settings
from tests.e2e.pushing import push
from tests.pushes import BROKEN_PUSHES, MESSAGES, Console, Request
from wechat_kf.domain.merchants.contact_button import session_from
from wechat_kf.wechat.push import Refusal
from wechat_kf_cli.stack.clients import (
    ApiClient,
    PushRefusedError,
    ReceiverClient,
    SimulatorClient,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.png import plain_png

pytestmark = pytest.mark.usefixtures("patient_wechat")

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Inbox:
    """The webhook of a platform that subscribed to all merchants."""

    receiver: ReceiverClient
    hook: str

    def events(self, openid: str) -> list[dict[str, Any]]:
        """Every delivery about one buyer, in order, repeats included."""
        return [event for event in self.all_events() if event["subject"] == openid]

    def all_events(self) -> list[dict[str, Any]]:
        items = self.receiver.received(self.hook)
        return [json.loads(item["body"]) for item in items if item["verified"]]

    def wait_for(self, openid: str, count: int) -> list[dict[str, Any]]:
        """At least that many events of the buyer."""

        def enough() -> list[dict[str, Any]]:
            events = self.events(openid)
            return events if len(events) >= count else []

        return wait_until(enough, PATIENCE_SECONDS, f"{count} events of {openid}")


def new_openid() -> str:
    return f"o{uuid.uuid4().hex[:27]}"


def text_of(openid: str, **fields: Any) -> dict[str, Any]:
    identity = {"FromUserName": openid, "MsgId": uuid.uuid4().int >> 65}
    return {**MESSAGES["text"], **identity, "CreateTime": int(time.time()), **fields}


def business_id_of(event: dict[str, Any]) -> str:
    business_id: str = event["source"].rpartition("/")[2]
    return business_id


@pytest.fixture(scope="module")
def console(stack: StackInfo) -> Console:
    return Console(
        app_id=stack.app_id, token=stack.push_token, encoding_aes_key=stack.encoding_aes_key
    )


@pytest.fixture(scope="module")
def inbox(
    api: ApiClient, receiver: ReceiverClient, stack: StackInfo, console: Console
) -> Iterator[Inbox]:
    inbox = Inbox(receiver, f"push-{uuid.uuid4().hex[:8]}")
    path = "/merchants/*/subscriptions"
    target = {"type": "webhook", "url": receiver.hook(inbox.hook)}
    subscription = api.post(path, {"target": target}).json()
    receiver.configure(inbox.hook, secret=subscription["secret"])
    openid = new_openid()

    def heard() -> bool:
        # Again and again: for 5 s the fan-out may remember who else had subscribed to `*`.
        push(stack, console.push(text_of(openid)))
        return bool(inbox.events(openid))

    wait_until(heard, PATIENCE_SECONDS, "first event")
    yield inbox
    api.delete(f"{path}/{subscription['subscription_id']}")


@pytest.fixture(scope="module")
def merchant(api: ApiClient) -> str:
    """The business id of a registered merchant."""
    icon = base64.b64encode(plain_png()).decode()
    key = f"push-e2e-{uuid.uuid4().hex[:8]}"
    registration = {"external_id": key, "nickname": "橙子旗舰店", "icon": icon}
    business_id: str = api.post("/merchants", registration).json()["business_id"]
    return business_id


# --- what is refused -----------------------------------------------------------------------


def test_forged_and_broken_pushes_are_refused_and_queue_nothing(
    stack: StackInfo, inbox: Inbox, console: Console
) -> None:
    # Given every kind of push that is not one, all from the same buyer
    openid = MESSAGES["text"]["FromUserName"]
    for format in ("xml", "json"):  # noqa: A001
        for broken in BROKEN_PUSHES:
            answer = push(stack, broken.build(replace(console, format=format)))
            status = 413 if broken.refusal is Refusal.TOO_LARGE else 403
            assert (answer.status_code, answer.text) == (status, "refused"), broken.name

    # When the buyer then writes something real
    assert push(stack, console.push(text_of(openid, Content="real"))).text == "success"

    # Then that is all that is ever heard of it: the queue keeps a conversation's order
    (event,) = inbox.wait_for(openid, 1)
    assert event["data"]["message"]["text"] == "real"


def test_a_request_that_has_nothing_of_a_push_is_refused(stack: StackInfo) -> None:
    for answer in (requests.get(stack.push_url, timeout=30), push(stack, Request(b"", {}))):
        assert (answer.status_code, answer.text) == (403, "refused")


# --- the full matrix -----------------------------------------------------------------------

MODES = ("plain", "compatible", "secure")
FORMATS = ("xml", "json")
ACTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "enter": ({}, "wechat.kf.session.entered"),
    "text": ({"content": "请问几天发货? 👍"}, "wechat.kf.message.received"),
    "image": ({}, "wechat.kf.message.received"),
    "card": ({}, "wechat.kf.message.received"),
    "other": (
        {"fields": {"MsgType": "event", "Event": "kf_create_session", "KfAccount": "a@b"}},
        "wechat.kf.push.unknown",
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_push_arrives(
    stack: StackInfo, simulator: SimulatorClient, inbox: Inbox, merchant: str, mode: str
) -> None:
    buyers = {new_openid(): push_format for push_format in FORMATS}
    conversations = ("0", merchant)

    with with_settings(stack, ["Push"], PUSH_MODE=mode):
        for openid, push_format in buyers.items():
            for business_id, action in itertools.product(conversations, ACTIONS):
                path = f"/_sim/buyers/{openid}/{action}"
                manner = {"mode": mode, "format": push_format}
                order = {"business_id": business_id, **manner, **ACTIONS[action][0]}
                assert simulator.call("POST", path, order)["accepted"] is True

    for openid, push_format in buyers.items():
        events = inbox.wait_for(openid, len(ACTIONS) * len(conversations))
        for business_id in conversations:
            types = [event["type"] for event in events if business_id_of(event) == business_id]
            assert types == [expected for _, expected in ACTIONS.values()], push_format


def test_a_plain_push_is_refused_where_encrypted_ones_are_agreed(
    simulator: SimulatorClient,
) -> None:
    with pytest.raises(PushRefusedError) as refused:
        simulator.say(new_openid(), "0", "明文", mode="plain")
    assert set(refused.value.statuses) == {403}


# --- whose conversation --------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False], ids=["our merchant", "nobody's"])
def test_an_entering_without_business_id_goes_to_the_buttons_merchant_if_it_is_ours(
    stack: StackInfo, inbox: Inbox, console: Console, merchant: str, known: bool
) -> None:
    openid = new_openid()
    claimed = merchant if known else "99999999999"
    entering = {"FromUserName": openid, "SessionFrom": session_from(claimed)}

    push(stack, console.push({**MESSAGES["user_enter_tempsession"], **entering}))

    (event,) = inbox.wait_for(openid, 1)
    assert business_id_of(event) == event["data"]["business_id"] == (merchant if known else "0")


@pytest.mark.parametrize("mode", MODES)
def test_the_main_accounts_messages_are_handed_to_wechats_own_tool_if_so_wished(
    stack: StackInfo, simulator: SimulatorClient, inbox: Inbox, merchant: str, mode: str
) -> None:
    buyers = {new_openid(): push_format for push_format in FORMATS}

    with with_settings(stack, ["Push"], PUSH_MODE=mode, TRANSFER_MAIN_ACCOUNT_MESSAGES="true"):
        for openid, push_format in buyers.items():
            manner = {"mode": mode, "format": push_format}
            outcomes = [
                simulator.enter(openid, "0", **manner),
                simulator.say(openid, "0", "转人工", **manner),
                simulator.say(openid, merchant, "不转", **manner),
            ]
            verdicts = [outcome["verdict"] for outcome in outcomes]
            assert verdicts == ["accepted", "transfer", "accepted"], push_format

    for openid in buyers:
        assert len(inbox.wait_for(openid, 3)) == 3


# --- many ----------------------------------------------------------------------------------

PUSHES = int(os.environ.get("PUSHES", "200"))
"""The long form, by hand: `PUSHES=1000 .venv/bin/pytest tests/e2e/test_push.py -k many`."""
BUYERS = 20


def shuffled(chance: random.Random, openid: str) -> list[dict[str, Any]]:
    """A buyer's pushes: a tenth out of order, and a tenth of them twice."""
    pushes = [
        text_of(openid, Content=str(number), CreateTime=1700000000 + number)
        for number in range(PUSHES // BUYERS)
    ]
    for _ in range(len(pushes) // 10):
        at = chance.randrange(len(pushes) - 1)
        pushes[at], pushes[at + 1] = pushes[at + 1], pushes[at]
    for repeated in chance.sample(pushes, len(pushes) // 10):
        pushes.insert(chance.randrange(pushes.index(repeated), len(pushes)) + 1, repeated)
    return pushes


@pytest.mark.timeout(300)
def test_many_pushes_arrive_once_per_id_and_in_order_per_conversation(
    stack: StackInfo, inbox: Inbox, console: Console
) -> None:
    chance = random.Random(5)
    sent = {openid: shuffled(chance, openid) for openid in (new_openid() for _ in range(BUYERS))}

    def post_all(pushes: list[dict[str, Any]]) -> set[str]:
        return {push(stack, console.push(fields)).text for fields in pushes}

    with ThreadPoolExecutor(4) as pool:
        answers = set().union(*pool.map(post_all, sent.values()))
    assert answers == {"success"}

    def all_arrived() -> dict[str, list[dict[str, Any]]]:
        arrived: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in inbox.all_events():
            if event["subject"] in sent:
                arrived[event["subject"]].append(event)
        total = len({event["id"] for events in arrived.values() for event in events})
        return arrived if total >= PUSHES else {}

    arrived = wait_until(all_arrived, 180, "all pushes at the webhook")
    for openid, pushes in sent.items():
        ids = [event["data"]["message_id"] for event in arrived[openid]]
        assert ids == [str(id_) for id_ in dict.fromkeys(fields["MsgId"] for fields in pushes)]
