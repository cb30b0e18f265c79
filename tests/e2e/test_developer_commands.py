"""`wechat-kf env`, `sign`, `listen` and `trigger` on the deployed stack, as developers run them."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.e2e.conftest import TEST_DIRECTORY
from wechat_kf_cli.developers.trigger import ShortType
from wechat_kf_cli.main import run
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import StackInfo

pytestmark = pytest.mark.usefixtures("patient_wechat", "here")

COMMAND = Path(sys.executable).with_name("wechat-kf")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATIENCE_SECONDS = 60


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_DIR", TEST_DIRECTORY)


@pytest.fixture
def merchant(simulator: SimulatorClient, api: ApiClient) -> str:
    """A merchant's business id."""
    wanted = {"account_name": f"developer_{os.urandom(4).hex()}", "nickname": "开发者的店"}
    business_id = str(simulator.call("POST", "/_sim/merchants", wanted)["business_id"])
    assert api.post("/merchants/sync", {}).ok
    return business_id


@dataclass
class Hook:
    """The developer's own server: verifies what comes, and answers 204."""

    url: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def types(self) -> list[str]:
        return [event["type"].removeprefix("wechat.kf.") for event in self.events]


@pytest.fixture
def hook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            events.append(Webhook(SECRET).verify(body, dict(self.headers.items())))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Hook(f"http://127.0.0.1:{server.server_port}/hook")
        events = made.events
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


@contextmanager
def listening(merchant: str, hook: Hook) -> Iterator[subprocess.Popen[str]]:
    command = [str(COMMAND), "listen", "--merchant", merchant, "--forward-to", hook.url]
    process = subprocess.Popen(
        [*command, "--secret", SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOCAL_DIR": TEST_DIRECTORY, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    try:
        for line in process.stdout:
            if "Ctrl-C ends" in line:
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_every_type_reaches_the_developers_server_and_nothing_is_left(
    merchant: str, hook: Hook, api: ApiClient, stack: StackInfo
) -> None:
    with listening(merchant, hook) as process:
        for event_type in ShortType:
            assert run(["trigger", event_type, "--merchant", merchant]) == 0
        wait_until(lambda: set(hook.types()) == set(ShortType), PATIENCE_SECONDS, "every type")

        # When one is asked for once more
        first = hook.events[0]
        assert process.stdin
        process.stdin.write("1\n")
        process.stdin.flush()
        wait_until(lambda: hook.events.count(first) == 2, PATIENCE_SECONDS, "the first again")

        # And it ends as by Ctrl-C
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert re.search(r"204 in \d+ ms", shown)
    assert api.get(f"/merchants/{merchant}/subscriptions").json()["items"] == []
    queues = aws_client(stack, "sqs").list_queues(QueueNamePrefix="wechat-kf-subscriber-")
    assert not [url for url in queues.get("QueueUrls", ()) if f"-{merchant}-" in url]


def test_what_happens_after_a_kill_arrives_at_the_next_start(merchant: str, hook: Hook) -> None:
    with listening(merchant, hook) as process:
        process.kill()
        process.wait()
        assert run(["trigger", "session.entered", "--merchant", merchant]) == 0
    assert hook.events == []
    with listening(merchant, hook) as process:
        wait_until(lambda: hook.events, PATIENCE_SECONDS, "what happened meanwhile")
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert hook.types() == ["session.entered"]


Shown = Callable[..., str]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    def runs(*arguments: str) -> str:
        assert run(arguments) == 0
        return capsys.readouterr().out

    return runs


def test_a_signed_call_can_be_pasted(shown: Shown, merchant: str) -> None:
    body = '{"welcome_message": "您好！It\'s “open” 🍊"}'
    line = shown("sign", "PATCH", f"/merchants/{merchant}", "--data", body)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert "HTTP/1.1 200" in done.stdout
    assert "您好！It's “open” 🍊" in done.stdout


def test_a_shell_gets_what_the_documents_use(shown: Shown, stack: StackInfo) -> None:
    script = shown("env") + 'printf "%s|" "$WECHAT_KF_API_URL" "$AWS_ENDPOINT_URL" "$AWS_REGION"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("|")[:3] == [stack.api_url, stack.aws_endpoint_url, stack.region]
    assert all(shlex.split(line)[0] == "export" for line in shown("env").splitlines())


def test_a_merchant_that_is_not_there_is_said_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["trigger", "message.received", "--merchant", "999999"]) == 1
    assert "no such merchant" in capsys.readouterr().err
