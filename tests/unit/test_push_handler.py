"""The push function whole, with botocore, against a queue and a secret on the loopback.

Nothing but 200, 403, 413 and 500 is ever answered, `success` only for what the queue has taken,
inside the time WeChat gives, and no log line shows a secret or what a customer wrote.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import json
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools import Logger
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pushes import BROKEN_PUSHES, MESSAGES, BrokenPush, Console, Request
from wechat_kf.wechat.push import Refusal

MODULE = "functions.push.push_handler"
CONSOLE = Console(token="thetokenofthetests")
SECRETS = {"token": CONSOLE.token, "encoding_aes_key": CONSOLE.encoding_aes_key}
WECHAT_WAITS_SECONDS = 5
SUCCESS = {
    "statusCode": 200,
    "headers": {"Content-Type": "text/plain; charset=utf-8"},
    "body": "success",
}

pytestmark = pytest.mark.usefixtures("aws_session")


@dataclass
class FakeAws:
    """SQS and Secrets Manager, as far as the push function calls them.

    The delays are in seconds; `sqs_status` other than 200 refuses; `sqs_loses_answers` takes the
    message and hangs up.
    """

    secret: dict[str, str] = field(default_factory=lambda: dict(SECRETS))
    secret_delay: float = 0
    secret_status: int = 200
    sqs_delay: float = 0
    sqs_status: int = 200
    sqs_loses_answers: bool = False
    sent: list[dict[str, str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def queued(self) -> list[dict[str, Any]]:
        """What a FIFO queue would hold: one message per deduplication id."""
        return list({sent["MessageDeduplicationId"]: sent for sent in self.sent}.values())

    def answer(self, call: str, request: dict[str, str]) -> tuple[int, dict[str, str]] | None:
        """Status and body; None: no answer at all."""
        self.calls.append(call)
        if call == "GetSecretValue":
            self.released.wait(self.secret_delay)
            return self.secret_status, {"SecretString": json.dumps(self.secret)}
        self.released.wait(self.sqs_delay)
        if self.sqs_status != 200:
            return self.sqs_status, {"__type": "com.amazonaws.sqs#AccessDenied", "message": "no"}
        self.sent.append(request)
        if self.sqs_loses_answers:
            return None
        body = request["MessageBody"].encode()
        return 200, {"MessageId": "1", "MD5OfMessageBody": hashlib.md5(body).hexdigest()}  # noqa: S324


class _Endpoint(BaseHTTPRequestHandler):
    aws: FakeAws
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.aws.answer(self.headers["X-Amz-Target"].split(".")[1], request)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    fake = FakeAws()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Endpoint", (_Endpoint,), {"aws": fake}))
    server.daemon_threads = True
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    environment = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "APP_ID": CONSOLE.app_id,
        "PUSH_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:push",
        "INBOUND_QUEUE_URL": f"{url}/123456789012/inbound.fifo",
        "POWERTOOLS_METRICS_NAMESPACE": "test",
        "POWERTOOLS_SERVICE_NAME": "push",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield fake
    fake.released.set()
    server.shutdown()
    server.server_close()


@dataclass
class Function:
    """The push function as Lambda has it: imported once, then called."""

    module: ModuleType
    log: io.StringIO

    def __call__(self, request: Request, **gateway: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.module.handler(event_for(request, **gateway), None)
        return answer

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def event_for(request: Request, method: str = "POST", wrapped: bool = False) -> dict[str, Any]:
    """API Gateway's event, payload format 2.0; it base64-wraps bodies as it likes."""
    body, query = request
    event: dict[str, Any] = {
        "version": "2.0",
        "requestContext": {"http": {"method": method, "path": "/wechat/push"}},
        "isBase64Encoded": wrapped,
    }
    if query:
        event["queryStringParameters"] = query
    if wrapped:
        event["body"] = base64.b64encode(body).decode()
    elif body:
        event["body"] = body.decode("utf-8", "surrogateescape")
    return event


def load(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Function:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    function = Function(importlib.import_module(MODULE), io.StringIO())
    name = f"push-{uuid.uuid4().hex}"
    monkeypatch.setattr(
        function.module, "logger", Logger(service=name, level="DEBUG", stream=function.log)
    )
    monkeypatch.setattr(function.module, "LOG_ACCEPTED", True)
    return function


@pytest.fixture
def function(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Function:
    return load(monkeypatch)


# --- what is accepted ----------------------------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True], ids=["as text", "base64-wrapped"])
@pytest.mark.parametrize("format", ["xml", "json"])
def test_a_push_is_queued_as_a_cloudevent_and_acknowledged(
    function: Function,
    aws: FakeAws,
    format: str,  # noqa: A002
    wrapped: bool,
) -> None:
    console = replace(CONSOLE, format=format)

    answer = function(console.push({**MESSAGES["text"], "BusinessId": 42}), wrapped=wrapped)

    assert answer == SUCCESS
    (sent,) = aws.sent
    assert sent["MessageGroupId"] == "42#o9AgO5Kd5ggOC-bXrbNODIiE3bGY"
    document = json.loads(sent["MessageBody"])
    assert document["id"] == sent["MessageDeduplicationId"]
    assert document["data"]["message"]["text"] == MESSAGES["text"]["Content"]


def test_a_push_costs_one_call_once_the_secret_is_known(function: Function, aws: FakeAws) -> None:
    for name in MESSAGES:
        assert function(CONSOLE.push(MESSAGES[name])) == SUCCESS
    assert aws.calls == ["GetSecretValue"] + ["SendMessage"] * len(MESSAGES)


def test_url_verification_echoes_and_queues_nothing(function: Function, aws: FakeAws) -> None:
    answer = function(Request(b"", CONSOLE.verification("4375120948345356249")), method="GET")
    assert (answer["statusCode"], answer["body"]) == (200, "4375120948345356249")
    assert aws.sent == []


def test_plain_pushes_are_taken_where_the_setting_says_so(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = load(monkeypatch, PUSH_MODE="plain", PUSH_MAX_AGE_SECONDS="0")
    console = replace(CONSOLE, mode="plain", clock=lambda: 1)
    assert function(console.push(MESSAGES["text"])) == SUCCESS
    assert len(aws.sent) == 1


def test_the_main_accounts_messages_are_handed_over_where_the_setting_says_so(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = load(monkeypatch, TRANSFER_MAIN_ACCOUNT_MESSAGES="true", PUSH_MODE="compatible")
    console = replace(CONSOLE, mode="plain", format="json")

    answer = function(console.push(MESSAGES["text"]))

    assert json.loads(answer["body"])["MsgType"] == "transfer_customer_service"
    assert len(aws.sent) == 1


# --- what is refused -----------------------------------------------------------------------


def test_broken_pushes_are_refused_and_nothing_is_queued(function: Function, aws: FakeAws) -> None:
    for broken in BROKEN_PUSHES:
        answer = function(broken.build(CONSOLE), wrapped=True)
        status = 413 if broken.refusal is Refusal.TOO_LARGE else 403
        assert (answer["statusCode"], answer["body"]) == (status, "refused"), broken.name
    assert aws.sent == []


@pytest.mark.parametrize(
    "event",
    [
        {"body": None},
        {"body": None, "queryStringParameters": None},
        {"body": "", "isBase64Encoded": True},
        {"body": "no base64!", "isBase64Encoded": True},
        {"body": "你好", "isBase64Encoded": True},
        {"body": "\ud83d"},
        {"queryStringParameters": {"timestamp": "1,2", "signature": "\ud83d"}},
    ],
)
def test_requests_without_a_body_worth_the_name_are_refused(
    function: Function, aws: FakeAws, event: dict[str, Any]
) -> None:
    event = event_for(CONSOLE.push(MESSAGES["text"])) | event
    assert function.module.handler(event, None)["statusCode"] == 403
    assert aws.sent == []


def test_a_body_that_is_no_text_is_refused(function: Function, aws: FakeAws) -> None:
    request = CONSOLE.push(MESSAGES["text"])
    for body in (request.body.decode().encode("utf-16"), b"\xff" + request.body):
        assert function(Request(body, request.query), wrapped=True)["statusCode"] == 403
    assert aws.sent == []


@pytest.mark.parametrize("broken", BROKEN_PUSHES[:30:3], ids=lambda broken: broken.name)
def test_operators_see_why(
    function: Function, broken: BrokenPush, capsys: pytest.CaptureFixture[str]
) -> None:
    function(broken.build(CONSOLE), wrapped=True)

    (line,) = [entry for entry in function.logged if entry["message"] == "push refused"]
    assert line["reason"] == broken.refusal
    (metric,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (metric["PushRefused"], metric["reason"]) == ([1.0], broken.refusal)


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST"]),
    event=st.fixed_dictionaries(
        {
            "body": TEXTS | st.none() | st.sampled_from(["<xml></xml>", "{}"]),
            "queryStringParameters": st.none()
            | st.dictionaries(
                st.sampled_from(["signature", "msg_signature", "timestamp", "nonce", "echostr"]),
                TEXTS,
            ),
            "isBase64Encoded": st.booleans(),
        }
    ),
)
def test_no_request_whatsoever_crashes_it(
    function: Function, aws: FakeAws, method: str, event: dict[str, Any]
) -> None:
    event = {"requestContext": {"http": {"method": method}}, **event}
    assert function.module.handler(event, None)["statusCode"] == 403
    assert aws.sent == []


# --- what goes wrong on our side -----------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 503])
def test_what_the_queue_does_not_take_is_not_acknowledged(
    function: Function, aws: FakeAws, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    aws.sqs_status = status

    answer = function(CONSOLE.push(MESSAGES["text"]))

    assert (answer["statusCode"], answer["body"]) == (500, "try again")
    assert "PushNotQueued" in capsys.readouterr().out
    assert function.logged[-1]["message"] == "push not queued"


def test_a_lost_answer_of_the_queue_makes_no_second_event(function: Function, aws: FakeAws) -> None:
    # Given a queue that takes the message and hangs up
    aws.sqs_loses_answers = True
    request = CONSOLE.push(MESSAGES["text"])

    # When WeChat pushes again, as after every answer but success
    first = function(request)
    aws.sqs_loses_answers = False
    second = function(request)

    # Then it is one event all the same
    assert (first["statusCode"], second) == (500, SUCCESS)
    assert len(aws.sent) > 1
    assert len(aws.queued) == 1


@pytest.mark.parametrize("secret", [{}, {"token": "t"}, {"token": "t", "encoding_aes_key": "k"}])
def test_without_a_usable_secret_wechat_is_told_to_come_again(
    function: Function, aws: FakeAws, secret: dict[str, str]
) -> None:
    aws.secret = secret
    assert function(CONSOLE.push(MESSAGES["text"]))["statusCode"] == 500
    assert aws.sent == []


def test_rotated_keys_are_taken_up_with_the_first_push_that_needs_them(
    function: Function, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert function(CONSOLE.push(MESSAGES["text"])) == SUCCESS
    rotated = replace(CONSOLE, token="rotated", encoding_aes_key="R" * 43)
    aws.secret = {"token": rotated.token, "encoding_aes_key": rotated.encoding_aes_key}

    # Secrets Manager is not asked again at once, lest forged pushes flood it; WeChat tries again
    assert function(rotated.push(MESSAGES["image"]))["statusCode"] == 403
    later = time.time() + 6
    monkeypatch.setattr(function.module.RECEIVER._secret, "_clock", lambda: int(later * 1000))

    assert function(rotated.push(MESSAGES["image"])) == SUCCESS


def test_a_push_that_newer_keys_may_open_is_tried_again_while_they_cannot_be_read(
    function: Function, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert function(CONSOLE.push(MESSAGES["text"])) == SUCCESS
    aws.secret_status = 400
    later = time.time() + 6
    monkeypatch.setattr(function.module.RECEIVER._secret, "_clock", lambda: int(later * 1000))

    for _ in range(2):
        answer = function(replace(CONSOLE, token="rotated").push(MESSAGES["image"]))
        assert (answer["statusCode"], answer["body"]) == (500, "try again")
    assert function(CONSOLE.push(MESSAGES["link"])) == SUCCESS
    assert aws.calls.count("GetSecretValue") == 2


def test_a_typo_in_the_secret_is_counted_and_stops_no_push(
    function: Function,
    aws: FakeAws,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert function(CONSOLE.push(MESSAGES["text"])) == SUCCESS
    aws.secret = {"token": CONSOLE.token, "encoding_aes_key": "k" * 42}
    later = time.time() + 301
    monkeypatch.setattr(function.module.RECEIVER._secret, "_clock", lambda: int(later * 1000))

    assert function(CONSOLE.push(MESSAGES["image"])) == SUCCESS

    shown = capsys.readouterr().out
    assert "PushSecretUnusable" in shown
    assert "k" * 42 not in shown + function.log.getvalue()


def test_under_a_silent_queue_the_answer_comes_in_time_and_is_no_success(
    function: Function, aws: FakeAws
) -> None:
    # Given the slowest case: a cold start whose secret takes its time, then a queue that is silent
    aws.secret_delay, aws.sqs_delay = 0.4, 60
    began = time.monotonic()

    answer = function(CONSOLE.push(MESSAGES["text"]))

    assert answer["statusCode"] == 500
    assert time.monotonic() - began < WECHAT_WAITS_SECONDS
    assert aws.calls.count("SendMessage") == 2


# --- what is seen of it --------------------------------------------------------------------


def test_no_line_of_log_shows_secrets_or_content(
    function: Function, aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given pushes of every kind, forged and failing ones too, with every level of log shown
    requests = [CONSOLE.push({**fields, "BusinessId": 42}) for fields in MESSAGES.values()]
    broken = [one.build(CONSOLE) for one in BROKEN_PUSHES]
    for request in requests + broken:
        function(request, wrapped=True)
    function(Request(b"", CONSOLE.verification()), method="GET")
    aws.sqs_status = 400
    function(requests[0])

    shown = function.log.getvalue() + "".join(capsys.readouterr())

    assert "push accepted" in shown
    assert "push refused" in shown
    assert "push not queued" in shown
    planted = [
        CONSOLE.token,
        CONSOLE.encoding_aes_key,
        "几天",
        "sessionFrom",
        "media_id",
        "p.test",
        "pagepath",
        "hello world",
        "o9AgO5Kd5ggOC",
        *(
            request.query[name]
            for request in requests + broken
            for name in ("signature", "msg_signature", "nonce")
            if len(request.query.get(name, "")) > 5
        ),
    ]
    assert [secret for secret in planted if secret in shown] == []
