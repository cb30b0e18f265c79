"""A conversation with all that can go wrong in it, and then every log of it read."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.e2e.conftest import TEST_DIRECTORY
from tests.e2e.pushing import push
from tests.log_search import LogSearch
from tests.pushes import MESSAGES, Console
from wechat_kf_cli.stack.clients import (
    ApiClient,
    PushRefusedError,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import ROOT, StackInfo, StateDirectory
from wechat_kf_local.png import plain_png

pytestmark = pytest.mark.usefixtures("patient_wechat")

PATIENCE_SECONDS = 60
TALKERS = ("Push", "Inbound", "Deliveries", "Merchants", "Messages", "Outbound", "Token")
"""The functions that take part in a conversation."""

LOG_GROUPS = tuple(f"/{name}LogGroup" for name in TALKERS)
LOGGED = ("push accepted", "push refused", "attempt recorded", "delivery postponed")
"""What they must have logged of it, or there was nothing to search."""


@dataclass
class Conversation:
    """Says and does things, and keeps every secret that was in them."""

    stack: StackInfo
    api: ApiClient
    simulator: SimulatorClient
    receiver: ReceiverClient
    hook: str = field(default_factory=lambda: f"logs-{uuid.uuid4().hex[:8]}")
    openid: str = field(default_factory=lambda: f"o{uuid.uuid4().hex[:27]}")
    secrets: dict[str, str] = field(default_factory=dict)
    business_id: str = ""

    def new_text(self, whose: str) -> str:
        """Words that are nowhere else in the world."""
        text = f"请问 {uuid.uuid4().hex} 几天发货?"
        # Only the middle is looked for: it is the same in whatever way a text is escaped.
        self.secrets[f"{whose} {len(self.secrets)}"] = text.split()[1]
        return text

    def register(self) -> None:
        icon = base64.b64encode(plain_png()).decode()
        merchant = {"external_id": self.hook, "nickname": "橙子旗舰店", "icon": icon}
        self.business_id = self.api.post("/merchants", merchant).json()["business_id"]

    def subscribe(self) -> None:
        target = {"type": "webhook", "url": self.receiver.hook(self.hook)}
        path = f"/merchants/{self.business_id}/subscriptions"
        subscription = self.api.post(path, {"target": target}).json()
        self.secrets["webhook secret"] = subscription["secret"]
        rotated = self.api.post(f"{path}/{subscription['subscription_id']}/rotate-secret").json()
        self.secrets["new webhook secret"] = rotated["secret"]
        self.receiver.configure(self.hook, secret=rotated["secret"])

    def ask(self, **manner: Any) -> None:
        text = self.new_text("customer's text")
        self.simulator.say(self.openid, self.business_id, text, **manner)

    def answer(self, text: str, status: str) -> None:
        """Send, and wait for what becomes of it."""
        body = {"openid": self.openid, "message": {"type": "text", "text": text}}
        accepted = self.api.post(f"/merchants/{self.business_id}/messages", body)
        assert accepted.status_code == 202, accepted.status_code
        self.remember_authorization(accepted)
        where = accepted.headers["Location"]

        def settled() -> bool:
            found: str = self.api.get(where).json()["status"]
            return found == status

        wait_until(settled, PATIENCE_SECONDS, f"message that is {status}")

    def remember_authorization(self, answer: requests.Response) -> None:
        signed = str(answer.request.headers["Authorization"])
        name = f"signature of a call {len(self.secrets)}"
        self.secrets[name] = signed.rpartition("Signature=")[2]

    def remember_token(self) -> None:
        """The access token of the moment: the table is where all functions have it from."""
        table = self.stack.outputs["TokensTableName"]
        for row in aws_client(self.stack, "dynamodb").scan(TableName=table)["Items"]:
            token = row["access_token"]["S"]
            self.secrets[f"access token {token[:3]}"] = token

    def order_fault(self, kind: str, **order: Any) -> None:
        self.simulator.call("POST", "/_sim/faults", {"kind": kind, "times": 1, **order})

    def remember_requests(self) -> None:
        """The signatures and ciphertexts of pushes, the signatures of webhooks."""
        pushes = self.simulator.call("GET", f"/_sim/pushes?openid={self.openid}&limit=1000")[
            "items"
        ]
        for number, pushed in enumerate(pushes):
            for name in ("signature", "msg_signature"):
                if value := pushed["request"]["query"].get(name):
                    self.secrets[f"{name} {number}"] = value
        received = self.receiver.received(self.hook)
        for number, item in enumerate(received):
            found = item["headers"]["webhook-signature"].split()
            self.secrets |= {f"webhook signature {number}.{at}": s for at, s in enumerate(found)}
        assert len(pushes) >= 3
        assert len(received) >= 5


def refused_pushes(talk: Conversation) -> None:
    """Wrong signature, broken inside, plain, stale: each with a customer's words in it."""
    stack = talk.stack
    console = Console(stack.app_id, stack.push_token, stack.encoding_aes_key)
    fields = {**MESSAGES["text"], "FromUserName": talk.openid, "CreateTime": int(time.time())}

    def worded(**more: Any) -> dict[str, Any]:
        return {**fields, "Content": talk.new_text("customer's text"), **more}

    requests_ = {
        "forged": console.push(worded(), msg_signature="f0" * 20),
        "broken": console.wrap(console.render(worded())[:-9]),
        "impossible": console.push(worded(CreateTime=talk.new_text("customer's text"))),
        "unencrypted": Console(stack.app_id, stack.push_token, mode="plain").push(worded()),
        "stale": console.push(worded(), timestamp="1500000000"),
    }
    for name, request in requests_.items():
        assert push(stack, request).status_code == 403, name
        talk.secrets[f"msg_signature, {name}"] = request.query.get("msg_signature", "f0" * 20)
        talk.secrets[f"signature, {name}"] = request.query["signature"]
    with pytest.raises(PushRefusedError) as refused:
        talk.ask(mode="plain")
    assert set(refused.value.statuses) == {403}


def refused_calls(talk: Conversation) -> None:
    """Each with the merchant's words in it."""
    path = f"/merchants/{talk.business_id}/messages"
    words: Callable[[], str] = lambda: talk.new_text("merchant's answer")  # noqa: E731
    message = {"type": "text", "text": words()}
    for body, status in (
        ({"openid": talk.openid, "message": {"type": "text", "text": words() * 200}}, 400),
        ({"openid": talk.openid, "message": {**message, words(): words()}}, 400),
        ({"openid": words(), "message": message}, 400),
    ):
        answer = talk.api.post(path, body)
        assert answer.status_code == status
        talk.remember_authorization(answer)
    broken = json.dumps({"openid": talk.openid, "message": words()}, ensure_ascii=False)[:-1]
    headers = {"Content-Type": "application/json"}
    answer = talk.api.request("POST", path, body=broken.encode(), headers=headers)
    assert answer.status_code == 400
    unsigned = requests.post(talk.stack.api_url + path, json={"text": words()}, timeout=10)
    assert unsigned.status_code == 403


def logs_of(stack: StackInfo) -> dict[str, str]:
    """Every log group of the account, and every file the local stack writes."""
    logs = aws_client(stack, "logs")
    groups = {
        group["logGroupName"]: "\n".join(
            event["message"]
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group["logGroupName"]
            )
            for event in page["events"]
        )
        for page in logs.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    }
    files = StateDirectory(ROOT / TEST_DIRECTORY).directory("logs").iterdir()
    return groups | {f"logs/{path.name}": path.read_text(errors="replace") for path in files}


def search_of(talk: Conversation) -> LogSearch:
    stack = talk.stack
    manager = aws_client(stack, "secretsmanager")
    app = json.loads(
        manager.get_secret_value(SecretId=stack.outputs["AppSecretArn"])["SecretString"]
    )
    account = {
        "push token": stack.push_token,
        "EncodingAESKey": stack.encoding_aes_key,
        "AppSecret": app["app_secret"],
        "AWS secret key": stack.secret_access_key,
    }
    return LogSearch({**account, **talk.secrets})


@pytest.fixture(scope="module")
def talk(
    stack: StackInfo,
    api: ApiClient,
    simulator: SimulatorClient,
    receiver: ReceiverClient,
) -> Conversation:
    """Over and done with."""
    talk = Conversation(stack, api, simulator, receiver)
    talk.register()
    talk.subscribe()
    simulator.verify_url()
    # All goes well
    talk.ask(format="xml")
    talk.ask(format="json")
    api.wait_for_conversation(talk.business_id, talk.openid)
    talk.answer(talk.new_text("merchant's answer"), "sent")
    talk.remember_token()
    # WeChat refuses the token, then the message, then leaves us without an answer
    simulator.call("POST", "/_sim/tokens/kill")
    talk.answer(talk.new_text("merchant's answer"), "sent")
    talk.remember_token()
    talk.order_fault("errcode:45015", openid=talk.openid)
    talk.answer(talk.new_text("merchant's answer"), "failed")
    talk.order_fault("cut_after", openid=talk.openid)
    talk.answer(talk.new_text("merchant's answer"), "unknown")
    # The merchant's system fails
    receiver.configure(talk.hook, secret=talk.secrets["new webhook secret"], status=500, times=1)
    talk.ask()
    refused_pushes(talk)
    refused_calls(talk)
    wait_until(lambda: delivered_at_last(talk), PATIENCE_SECONDS, "event after a 500")
    talk.remember_requests()
    return talk


def delivered_at_last(talk: Conversation) -> bool:
    answers = [item["answered"] for item in talk.receiver.received(talk.hook)]
    return 500 in answers and answers[-1] == 204


@pytest.mark.timeout(300)
def test_no_log_holds_a_secret_or_what_people_wrote(talk: Conversation) -> None:
    search = search_of(talk)
    kinds = {name.rstrip("0123456789. ") for name in search.secrets}
    assert len([name for name in search.secrets if name.startswith("access token")]) == 2
    assert kinds >= {"customer's text", "merchant's answer", "msg_signature", "webhook signature"}

    logs = everything_logged(talk)

    assert search.findings(logs.items()) == []


def everything_logged(talk: Conversation) -> dict[str, str]:
    """The logs, once they tell of the last that happened; each function has left some lines."""
    last = json.loads(talk.receiver.received(talk.hook)[-1]["body"])["id"]

    def told() -> dict[str, str]:
        logs = logs_of(talk.stack)
        written = [text for name, text in logs.items() if name.endswith(LOG_GROUPS)]
        assert len(written) == len(LOG_GROUPS)
        facts = all(fact in "".join(written) for fact in (*LOGGED, last))
        return logs if facts and all("END RequestId" in text for text in written) else {}

    return wait_until(told, PATIENCE_SECONDS, "log of every function")


def test_the_search_would_have_found_them(talk: Conversation, stack: StackInfo) -> None:
    search = search_of(talk)
    logs, group = aws_client(stack, "logs"), f"/planted/{uuid.uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=group)
    try:
        logs.create_log_stream(logGroupName=group, logStreamName="s")
        for name, secret in search.secrets.items():
            event = {"timestamp": int(time.time() * 1000), "message": json.dumps({name: secret})}
            logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])

        found = search.findings(logs_of(stack).items())

        assert {finding.secret for finding in found} == set(search.secrets)
        assert {finding.where for finding in found} == {group}
    finally:
        logs.delete_log_group(logGroupName=group)
