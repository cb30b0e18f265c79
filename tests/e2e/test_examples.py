"""The examples as users start them, on the deployed stack: a buyer writes, and gets an answer."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from tests.e2e.conftest import TEST_DIRECTORY
from tests.programs import needs
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import ROOT, StackInfo
from wechat_kf_local.emulator import find_free_port

pytestmark = pytest.mark.usefixtures("patient_wechat")

EXAMPLES = ROOT / "examples"
PATIENCE_SECONDS = 60
JSON = {"content-type": "application/cloudevents+json; charset=utf-8"}


@pytest.fixture(scope="module")
def java_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled Java; where there is no JDK, an empty folder."""
    if shutil.which("javac") is None:
        return tmp_path_factory.mktemp("none")
    folder = tmp_path_factory.mktemp("classes")
    sources = ["webhooks/Verify.java", "java/SignedCall.java", "java/Merchant.java"]
    subprocess.run(["javac", "-d", folder, *sources], cwd=EXAMPLES, check=True)
    return folder


@pytest.fixture
def environment(stack: StackInfo, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "LOCAL_DIR": TEST_DIRECTORY,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SEEN": str(tmp_path / "seen.sqlite"),
        "WECHAT_KF_API_URL": stack.api_url,
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": stack.access_key_id,
        "AWS_SECRET_ACCESS_KEY": stack.secret_access_key,
    }


@contextmanager
def serving(
    command: list[str], folder: Path, environment: dict[str, str], port: int
) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=folder, env={**environment, "PORT": str(port)})
    try:

        def listens() -> bool:
            assert process.poll() is None
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        wait_until(listens, PATIENCE_SECONDS, "server")
        yield
    finally:
        process.terminate()
        process.wait(10)


def command_of(example: str, port: int, java_classes: Path) -> tuple[list[str], Path]:
    match example:
        case "fastapi":
            server = [sys.executable, "-m", "uvicorn", "merchant:app", "--port", str(port)]
            return server, EXAMPLES / "fastapi"
        case "express":
            return ["node", "merchant.mjs"], EXAMPLES / "express"
        case "java":
            return ["java", "-cp", str(java_classes), "Merchant"], EXAMPLES / "java"
        case _:
            return [sys.executable, "bot.py"], EXAMPLES / "bot"


NODE = pytest.mark.skipif(
    not (EXAMPLES / "node_modules").exists(), reason="npm install in examples first"
)
JAVA = needs("javac")


@pytest.mark.parametrize(
    "example",
    ["fastapi", pytest.param("express", marks=NODE), pytest.param("java", marks=JAVA), "bot"],
)
def test_a_buyer_is_answered_once_by(
    example: str,
    simulator: SimulatorClient,
    api: ApiClient,
    environment: dict[str, str],
    java_classes: Path,
) -> None:
    # Given the example, subscribed
    shop = simulator.call(
        "POST", "/_sim/merchants", {"account_name": f"example_{example}", "nickname": "示例店"}
    )
    assert api.post("/merchants/sync", {}).ok
    port = find_free_port()
    url = f"http://127.0.0.1:{port}/wechat"
    path = f"/merchants/{shop['business_id']}/subscriptions"
    body = {
        "target": {"type": "webhook", "url": url},
        "event_types": ["wechat.kf.message.received"],
    }
    created = api.post(path, body).json()
    command, folder = command_of(example, port, java_classes)
    buyer = f"oExample{example:0<20}"
    phone = partial(simulator.messages, buyer)

    with serving(command, folder, {**environment, "WEBHOOK_SECRET": created["secret"]}, port):
        # When a buyer writes
        simulator.say(buyer, str(shop["business_id"]), "今天能发货吗？")
        wait_until(lambda: len(phone()) == 2, PATIENCE_SECONDS, "answer on the phone")

        # And a stranger calls, and one more message is delivered twice
        assert requests.post(url, "{}", headers=JSON, timeout=5).status_code == 401
        twice = signed(created["secret"], str(shop["business_id"]), buyer)
        for headers, content in (twice, twice):
            assert requests.post(url, content, headers=headers, timeout=5).status_code == 204
        wait_until(lambda: len(phone()) == 3, PATIENCE_SECONDS, "second answer on the phone")
        assert api.delete(f"{path}/{created['subscription_id']}").ok

    assert [one["sender"] for one in phone()] == ["buyer", "merchant", "merchant"]


def signed(secret: str, business_id: str, openid: str) -> tuple[dict[str, str], bytes]:
    """A webhook of a message that a buyer wrote."""
    message = {"type": "text", "text": "在吗？"}
    event: dict[str, Any] = {
        "id": "1f",
        "type": "wechat.kf.message.received",
        "data": {"business_id": business_id, "openid": openid, "message": message},
    }
    body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    now = datetime.now(UTC)
    headers = {
        **JSON,
        "webhook-id": event["id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(event["id"], now, body),
    }
    return headers, body.encode()


@pytest.mark.parametrize(
    "language", ["python", pytest.param("node", marks=NODE), pytest.param("java", marks=JAVA)]
)
def test_a_signed_call_lists_merchants_in(
    language: str, environment: dict[str, str], java_classes: Path
) -> None:
    command = {
        "python": [sys.executable, "call.py"],
        "node": ["node", "call.mjs"],
        "java": ["java", "-cp", str(java_classes), "SignedCall"],
    }[language]
    done = subprocess.run(
        command, cwd=EXAMPLES / "sign", env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["items"]


def test_a_function_consumes_a_queue(
    simulator: SimulatorClient, api: ApiClient, stack: StackInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"account_name": "example_queue", "nickname": "示例店"}
    shop = str(simulator.call("POST", "/_sim/merchants", wanted)["business_id"])
    assert api.post("/merchants/sync", {}).ok
    sqs = aws_client(stack, "sqs")
    name = f"wechat-kf-subscriber-{shop}-example.fifo"
    url = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    home = stack.outputs["DeliveriesQueueUrl"].rpartition("/")[0]
    target = {"type": "queue", "queue_url": f"{home}/{name}"}
    assert api.post(f"/merchants/{shop}/subscriptions", {"target": target}).ok
    simulator.say("oExampleQueue000000000000000", shop, "在吗？")

    def received() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get(
            "Messages", []
        )
        return found

    [message] = wait_until(received, PATIENCE_SECONDS, "event in the queue")
    good = {"messageId": "1", "body": message["Body"]}
    bad = {"messageId": "2", "body": "{}"}
    handler = runpy.run_path(str(EXAMPLES / "queue_consumer" / "consumer.py"))["handler"]
    assert handler({"Records": [good]}, None) == {"batchItemFailures": []}
    left = handler({"Records": [good, bad, good]}, None)["batchItemFailures"]
    assert [one["itemIdentifier"] for one in left] == ["2", "1"]
    assert "在吗" not in capsys.readouterr().out
