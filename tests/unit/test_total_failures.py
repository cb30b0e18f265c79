"""When everything fails, an alarm fires within ten minutes; which one, each test says.

The metrics are those that the functions themselves emit against an AWS or WeChat that fails. They
are repeated each minute; what stays in its queue gets older meanwhile, as its age does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from benchmarks.answers import WECHAT_SAYS_YES, Answers
from benchmarks.invocations import event_for
from benchmarks.template_environment import function_environment
from generators.template_file import read_template
from tests.alarm_evaluation import Metrics, fires
from wechat_kf.adapters.aws.dynamo import Value, encode
from wechat_kf.domain.clock import HOUR, MINUTE, now_ms
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS
from wechat_kf_cli.stack.state import ROOT

MINUTES = 10

Answer = tuple[int, str, bytes]
"""Status, media type and body."""

Broken = Callable[[str], Answer | None]

TEMPLATE = read_template()
ALARMS = {
    name.removesuffix("Alarm"): resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}


@dataclass
class World:
    """AWS, WeChat and subscribers at one address. `broken` answers first; None: as usual."""

    broken: Broken = lambda _call: None
    answers: list[Answers] = field(default_factory=list)
    origin: str = ""

    def answer(self, call: str, body: bytes) -> Answer:
        """`call` is an operation of AWS, `wechat`, or `webhook`."""
        if broken := self.broken(call):
            return broken
        if call == "wechat":
            return 200, "application/json", WECHAT_SAYS_YES
        if call == "webhook":
            return 204, "text/plain", b""
        if call in ("ChangeMessageVisibilityBatch", "DeleteMessageBatch"):
            entries = json.loads(body)["Entries"]
            return _json(200, {"Successful": [{"Id": one["Id"]} for one in entries], "Failed": []})
        return _json(200, self.answers[0].answer(call, json.loads(body)))


class BacklogAnswers(Answers):
    """A subscription that has been parking for an hour, and so have its events waited."""

    def __init__(self, origin: str, *, waiting: int, waits_ms: int, **members: Value) -> None:
        super().__init__(origin)
        now = now_ms()
        self.change_subscription(parking_since=now - HOUR, **members)
        entry = encode({"entry": "42#sub-benchmark"})
        self._rows: dict[str, list[dict[str, Any]]] = {
            "parked": [entry],
            "count#": [{**entry, **encode({"waiting": waiting})}],
            "wait#": [entry],
            "by_age": [{**entry, **encode({"expires_at": now - waits_ms + RETENTION_MS})}],
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            return {}
        if operation == "Scan":  # no message is stuck
            return {"Items": []}
        if operation == "Query" and request["TableName"] == "BacklogTable":
            values = request["ExpressionAttributeValues"]
            asked = values.get(":first") or values.get(":parked") or {"S": request.get("IndexName")}
            kind = asked["S"].partition("#")[0]
            found = (rows for name, rows in self._rows.items() if name.rstrip("#") == kind)
            return {"Items": next(found, [])}
        return super().answer(operation, request)


class _Endpoint(BaseHTTPRequestHandler):
    world: World
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        call = call or ("wechat" if self.path.startswith("/cgi-bin/") else "webhook")
        status, media_type, content = self.world.answer(call, body)
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Endpoint", (_Endpoint,), {"world": made}))
    server.daemon_threads = True
    made.origin = f"http://127.0.0.1:{server.server_port}"
    made.answers.append(Answers(made.origin))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def alarms_that_fire(
    world: World, *functions: str, wechat: str | None = None, stays_queued: bool = False
) -> set[str]:
    """The alarms that fire when each minute brings these functions one event more."""
    metrics = Metrics()
    for name in functions:
        *written, last = _invoke(name, world.origin, wechat or world.origin)
        result = json.loads(last)
        lines = [json.loads(line) for line in written if line.startswith("{")]
        for minute in range(MINUTES):
            for line in lines:
                if "_aws" in line:
                    metrics.add_embedded(line, minute, 60 * minute if stays_queued else 0)
            if "raised" in result:
                dimensions = frozenset({("FunctionName", f"{name.title()}Function")})
                metrics.add(("AWS/Lambda", "Errors", dimensions), minute)
            elif (result["answer"] or {}).get("statusCode", 0) >= 500:
                metrics.add(("AWS/ApiGateway", "5xx", frozenset({("ApiId", "Api")})), minute)
    return {name for name, alarm in ALARMS.items() if fires(alarm, metrics, MINUTES)}


def _invoke(name: str, origin: str, wechat: str) -> list[str]:
    assert function_environment(name)["POWERTOOLS_METRICS_NAMESPACE"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.invoke_handler", name, origin, wechat],
        cwd=ROOT,
        input=json.dumps(event_for(name)),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.splitlines()


def wechat_answers(content: bytes, media_type: str = "application/json") -> Broken:
    return lambda call: (200, media_type, content) if call == "wechat" else None


def _json(status: int, document: dict[str, Any]) -> Answer:
    return status, "application/x-amz-json-1.0", json.dumps(document).encode()


def aws_fails(*calls: str, error: str = "ServiceUnavailable", status: int = 503) -> Broken:
    def broken(call: str) -> Answer | None:
        if call in calls:
            return _json(status, {"__type": f"com.amazonaws#{error}", "message": "no"})
        return None

    return broken


NOBODY = "http://127.0.0.1:9"
"""Refuses connections."""

EVERY_TABLE_CALL = (
    "GetItem",
    "PutItem",
    "UpdateItem",
    "Query",
    "Scan",
    "TransactWriteItems",
    "BatchGetItem",
)
THROTTLED = aws_fails(*EVERY_TABLE_CALL, error="ProvisionedThroughputExceededException", status=400)


def test_nothing_fires_while_all_is_well(world: World) -> None:
    everything = ("push", "inbound", "deliveries", "messages", "outbound", "broadcasts", "token")
    assert alarms_that_fire(world, *everything) == set()


def test_wechat_is_down(world: World) -> None:
    assert "OutboundAge" in alarms_that_fire(world, "outbound", wechat=NOBODY, stays_queued=True)


def test_wechat_has_withdrawn_the_capability(world: World) -> None:
    world.broken = wechat_answers(b'{"errcode":48001,"errmsg":"api unauthorized"}')
    assert "SendFaults" in alarms_that_fire(world, "outbound")


def test_wechat_answers_with_a_page_of_html(world: World) -> None:
    world.broken = wechat_answers(b"<html>maintenance</html>", "text/html")
    assert "SendFaults" in alarms_that_fire(world, "outbound")


def test_wechat_refuses_every_token(world: World) -> None:
    world.broken = wechat_answers(b'{"errcode":40001,"errmsg":"invalid credential"}')
    assert {"OutboundAge", "SendFaults"} & alarms_that_fire(world, "outbound", stays_queued=True)


def test_wechat_refuses_the_app_secret(world: World) -> None:
    def broken(call: str) -> Answer | None:
        if call == "GetItem":
            return _json(200, {})  # the table holds no token
        return wechat_answers(b'{"errcode":40125,"errmsg":"invalid appsecret"}')(call)

    world.broken = broken
    assert "TokenRefresh" in alarms_that_fire(world, "token")


def test_sqs_is_down_when_pushes_come(world: World) -> None:
    world.broken = aws_fails("SendMessage")
    assert "PushNotQueued" in alarms_that_fire(world, "push")


def test_the_token_in_the_push_secret_is_another(world: World) -> None:
    secret = {"token": "another", "encoding_aes_key": "A" * 43}
    known = {"ARN": "arn", "Name": "push", "SecretString": json.dumps(secret)}
    world.broken = lambda call: _json(200, known) if call == "GetSecretValue" else None
    assert "PushRefused" in alarms_that_fire(world, "push")


def test_the_push_secret_is_empty(world: World) -> None:
    known = {"ARN": "arn", "Name": "push", "SecretString": "{}"}
    world.broken = lambda call: _json(200, known) if call == "GetSecretValue" else None
    assert "PushNotQueued" in alarms_that_fire(world, "push")


@pytest.mark.parametrize(
    ("function", "alarm"), [("inbound", "InboundAge"), ("broadcasts", "BroadcastsAge")]
)
def test_dynamodb_throttles_what_comes_by_a_queue(world: World, function: str, alarm: str) -> None:
    world.broken = THROTTLED
    fired = alarms_that_fire(world, function, stays_queued=True)
    assert {alarm, "RecordsPostponed"} <= fired


@pytest.mark.parametrize("function", ["messages", "merchants"])
def test_dynamodb_throttles_what_comes_by_the_api(world: World, function: str) -> None:
    world.broken = THROTTLED
    assert "ApiFaults" in alarms_that_fire(world, function)


def test_the_subscriber_of_all_merchants_is_dead(world: World) -> None:
    world.broken = lambda call: (500, "text/plain", b"no") if call == "webhook" else None
    assert "DeliveriesFailing" in alarms_that_fire(world, "deliveries")


@pytest.mark.parametrize("open_for", [0, MINUTE])
def test_its_events_wait_in_the_backlog_meanwhile(world: World, open_for: int) -> None:
    """They wait behind older ones of their buyers."""
    world.answers[0] = BacklogAnswers(
        world.origin, waiting=9, waits_ms=HOUR, open_until=now_ms() + open_for
    )
    assert "DeliveriesFailing" in alarms_that_fire(world, "deliveries")


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_no_alarm_fires_for_a_busy_subscription_that_is_paused(world: World, status: str) -> None:
    world.answers[0] = BacklogAnswers(
        world.origin, waiting=1_000_000, waits_ms=20 * HOUR, status=status
    )
    assert alarms_that_fire(world, "deliveries", "sweeper") == set()


@pytest.mark.parametrize(
    ("waiting", "waits_ms", "alarms"),
    [
        (10_000, 5 * HOUR, set()),
        (10_001, MINUTE, {"BacklogSize"}),
        (1, 6 * HOUR + MINUTE, {"BacklogAge"}),
    ],
)
def test_a_backlog_that_does_not_go_down(
    world: World, waiting: int, waits_ms: int, alarms: set[str]
) -> None:
    world.answers[0] = BacklogAnswers(world.origin, waiting=waiting, waits_ms=waits_ms)
    assert alarms_that_fire(world, "sweeper") == alarms


def test_a_row_that_nobody_can_read_fails_every_record(world: World) -> None:
    nonsense = {"Item": {"nonsense": {"S": "?"}}, "Attributes": {"nonsense": {"S": "?"}}}
    world.broken = lambda call: _json(200, nonsense) if call in EVERY_TABLE_CALL else None
    assert "RecordsFailed" in alarms_that_fire(world, "outbound")


def test_a_function_that_crashes(world: World) -> None:
    world.broken = aws_fails(*EVERY_TABLE_CALL, error="AccessDeniedException", status=400)
    assert alarms_that_fire(world, "sweeper") >= {"SweeperErrors"}
