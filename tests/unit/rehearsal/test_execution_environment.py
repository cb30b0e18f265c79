"""An execution environment against a runtime interface client of the tests' own."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.rehearsal.execution_environment import Code, ExecutionEnvironment, FunctionSettings
from tests.rehearsal.place import Interpreter, Place
from tests.rehearsal.runtime_api import Invocation, Outcome

CLIENT = """
import json, os, sys, threading, time, urllib.error, urllib.request
API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"

def post(path, document):
    body = json.dumps(document).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(API + path, data=body)).read()
    except urllib.error.HTTPError as error:
        print("refused", error.code, flush=True)

ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.01)
        ticks += 1
threading.Thread(target=tick, daemon=True).start()

if os.environ["_HANDLER"] == "broken.handler":
    post("/init/error", {"errorMessage": "no such module"})
    sys.exit(1)
while True:
    with urllib.request.urlopen(API + "/invocation/next") as answer:
        event = json.loads(answer.read())
        path = "/invocation/" + answer.headers["Lambda-Runtime-Aws-Request-Id"]
    print("handling", json.dumps(event), flush=True)
    match event:
        case {"do": "exit"}:
            sys.exit(3)
        case {"do": "sleep"}:
            time.sleep(60)
        case {"do": "raise"}:
            post(path + "/error", {"errorType": "ValueError"})
        case {"do": "talk"}:
            post(path + "/response", "x" * 7_000_000)
        case {"do": "ticks"}:
            post(path + "/response", ticks)
        case {"do": "environment"}:
            post(path + "/response", dict(os.environ))
"""

Start = Callable[..., ExecutionEnvironment]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts an environment without isolation: that needs root."""
    code = Code(*(tmp_path / name for name in ("task", "layer", "runtime")))
    for folder in (code.task, code.layer, code.runtime):
        folder.mkdir()
    (code.runtime / "awslambdaric.py").write_text(CLIENT)
    place = Place(Interpreter.at(Path(sys.executable)), isolated=False, bound=False)
    started: list[ExecutionEnvironment] = []

    def start_one(handler: str = "good.handler") -> ExecutionEnvironment:
        variables = {"GREETING": "hello", "AWS_ACCESS_KEY_ID": "the role's"}
        settings = FunctionSettings("push", handler, 512, "us-east-1", variables)
        log = tmp_path / f"{len(started)}.log"
        environment = ExecutionEnvironment(place, code, settings, log, limit_processor=False)
        started.append(environment)
        return environment

    yield start_one
    for environment in started:
        environment.stop()


@pytest.fixture
def environment(start: Start) -> ExecutionEnvironment:
    one = start()
    assert one.wait_until_initialized() is None
    return one


def event(do: str, seconds: float = 20) -> Invocation:
    deadline_ms = int((time.time() + seconds) * 1000)
    return Invocation("request-1", "arn:of:function", deadline_ms, json.dumps({"do": do}).encode())


def test_the_function_sees_lambdas_variables_and_none_of_this_machine(
    environment: ExecutionEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = environment.invoke(event("environment"))
    assert result.outcome is Outcome.RESPONSE
    seen = json.loads(result.body)
    assert seen["GREETING"] == "hello"
    assert seen["AWS_ACCESS_KEY_ID"] == "the role's"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert "HOME" not in seen
    assert "USER" not in seen


def test_nothing_runs_between_invocations(environment: ExecutionEnvironment) -> None:
    first = int(environment.invoke(event("ticks")).body)
    time.sleep(1)
    assert int(environment.invoke(event("ticks")).body) - first < 50


def test_an_error_leaves_the_environment_usable(environment: ExecutionEnvironment) -> None:
    assert environment.invoke(event("raise")).outcome is Outcome.ERROR
    assert environment.invoke(event("ticks")).outcome is Outcome.RESPONSE


def test_a_response_that_lambda_would_refuse_is_an_error(environment: ExecutionEnvironment) -> None:
    result = environment.invoke(event("talk"))
    assert result.outcome is Outcome.ERROR
    assert b"ResponseSizeTooLarge" in result.body


def test_an_exit_and_a_timeout_are_seen(start: Start) -> None:
    for do, outcome in (("exit", Outcome.EXIT), ("sleep", Outcome.TIMEOUT)):
        environment = start()
        assert environment.wait_until_initialized() is None
        assert environment.invoke(event(do, seconds=2)).outcome is outcome


def test_an_init_that_fails_says_why(start: Start) -> None:
    failure = start("broken.handler").wait_until_initialized()
    assert failure is not None
    assert failure.outcome is Outcome.INIT_ERROR
    assert b"no such module" in failure.body


def test_output_is_handed_over_once(environment: ExecutionEnvironment) -> None:
    environment.invoke(event("ticks"))
    assert environment.take_new_output() == ['handling {"do": "ticks"}']
    environment.invoke(event("raise"))
    assert environment.take_new_output() == ['handling {"do": "raise"}']
