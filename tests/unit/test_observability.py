"""What a line of log holds, and what it never does."""

from __future__ import annotations

import io
import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import botocore.session
import pytest
from aws_lambda_powertools import Logger

from wechat_kf import observability
from wechat_kf.observability import (
    InvocationFailedError,
    WordlessFormatter,
    count,
    guard_invocation,
    logger,
    measure,
)

WORDS = "我的电话是 13800000000"


def logged(error: Exception) -> dict[str, Any]:
    """The line that a logger like ours makes of it; of one name there is one logger for good."""
    stream = io.StringIO()
    ours = Logger(
        service=uuid.uuid4().hex,
        stream=stream,
        logger_formatter=WordlessFormatter(serialize_stacktrace=False),
    )
    try:
        raise error
    except Exception:
        ours.exception("failed", extra={"number": 1})
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def caused(error: Exception, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


def parameter_error() -> Exception:
    sqs: Any = botocore.session.get_session().create_client("sqs", region_name="eu-central-1")
    with pytest.raises(Exception, match=WORDS) as caught:
        sqs.send_message(QueueUrl="u", MessageBody="b", MessageAttributes={"a": WORDS})
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        ValueError(WORDS),
        caused(RuntimeError("wrapped"), KeyError(WORDS)),
        UnicodeDecodeError("utf-8", WORDS.encode(), 0, 1, WORDS),
        ExceptionGroup(WORDS, [ValueError(WORDS)]),
        parameter_error(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_is_told_by_type_and_place_and_not_by_its_words(error: Exception) -> None:
    line = logged(error)
    text = json.dumps(line, ensure_ascii=False)
    assert "13800000000" not in text
    assert line["exception_name"] == type(error).__name__
    assert f'{__file__}"' in line["exception"]
    assert line["exception"].endswith(type(error).__name__)


def test_the_cause_is_told_too() -> None:
    assert "KeyError" in logged(caused(RuntimeError("wrapped"), KeyError(WORDS)))["exception"]


def test_the_rest_of_the_line_is_as_usual() -> None:
    line = logged(ValueError("x"))
    assert (line["level"], line["message"], line["number"]) == ("ERROR", "failed", 1)
    assert {"timestamp", "location", "service"} <= set(line)


def test_every_function_logs_this_way() -> None:
    assert isinstance(logger.registered_formatter, WordlessFormatter)
    assert logger.registered_formatter.serialize_stacktrace is False


@pytest.fixture
def counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., set[frozenset[tuple[str, str]]]]:
    """Count something, and get the sets of dimensions under which CloudWatch will."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "outbound")
    monkeypatch.setattr(observability, "_WATCHED", frozenset({"42"}))

    def counting(name: str, **given: str) -> set[frozenset[tuple[str, str]]]:
        count(name, **given)
        line = json.loads(capsys.readouterr().out)
        assert line[name] == [1.0]
        (metrics,) = line["_aws"]["CloudWatchMetrics"]
        return {frozenset((key, line[key]) for key in keys) for keys in metrics["Dimensions"]}

    return counting


IN_TOTAL = frozenset({("service", "outbound")})
SENT = ("outcome", "sent")


def test_a_count_is_counted_in_total_and_by_its_dimensions(counted: Any) -> None:
    assert counted("Sends") == {IN_TOTAL}
    assert counted("Sends", outcome="sent") == {IN_TOTAL, frozenset({SENT})}


def test_a_watched_merchant_has_counts_of_its_own(counted: Any) -> None:
    watched = ("merchant", "42")
    assert counted("Received", merchant="42") == {IN_TOTAL, frozenset({watched})}
    assert counted("Sends", merchant="42", outcome="sent") == {
        IN_TOTAL,
        frozenset({SENT}),
        frozenset({watched, SENT}),
    }


def test_merchants_nobody_watches_cost_no_metrics(counted: Any) -> None:
    assert counted("Sends", merchant="43", outcome="sent") == {IN_TOTAL, frozenset({SENT})}


class GivingWay(io.StringIO):
    """A stream on which a write lets the other threads go first, as a full pipe does."""

    def write(self, text: str, /) -> int:
        time.sleep(0.001)
        return super().write(text)


def test_counts_and_logs_of_threads_side_by_side_stay_whole_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = GivingWay()
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setattr(sys, "stdout", stream)
    ours = Logger(service=uuid.uuid4().hex, stream=stream)

    def work(number: int) -> None:
        count("Deliveries", fate="delivered")
        ours.info("event delivered", extra={"number": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert sum("_aws" in line for line in lines) == 40
    assert {line["number"] for line in lines if "number" in line} == set(range(40))


@pytest.mark.parametrize(
    ("name", "unit"), [("OldestRecordSeconds", "Seconds"), ("BacklogWaiting", "Count")]
)
def test_a_measured_value_has_its_unit_and_its_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, unit: str
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "outbound")
    measure(name, 12.5)
    line = json.loads(capsys.readouterr().out)
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    assert metrics["Metrics"] == [{"Name": name, "Unit": unit}]
    assert metrics["Dimensions"] == [["service"]]
    assert (line[name], line["service"]) == ([12.5], "outbound")


class Context:
    aws_request_id = "8f0c6a8e"


def test_every_line_of_an_invocation_names_its_request() -> None:
    @guard_invocation
    def handler(event: dict[str, Any], context: Any) -> int:
        logger.info("working")
        return 1

    with redirected(logger) as lines:
        assert handler({}, Context()) == 1
    assert [line["request_id"] for line in lines()] == ["8f0c6a8e"]


@pytest.fixture
def metric_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[], list[dict[str, Any]]]:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "test")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "outbound")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_batch_writes_equal_counts_once(
    metric_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    @guard_invocation
    def handler(event: dict[str, Any], context: Any) -> None:
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(lambda _: count("Sends", outcome="sent"), range(9)))
        count("Sends", outcome="failed")

    handler({}, Context())
    assert [(line["outcome"], line["Sends"]) for line in metric_lines()] == [
        ("sent", [9.0]),
        ("failed", [1.0]),
    ]
    handler({}, Context())
    assert len(metric_lines()) == 2


def test_what_a_failed_invocation_counted_is_written(
    metric_lines: Callable[[], list[dict[str, Any]]],
) -> None:
    @guard_invocation
    def handler(event: dict[str, Any], context: Any) -> None:
        count("Sends")
        raise ValueError

    with redirected(logger), pytest.raises(InvocationFailedError):
        handler({}, Context())
    count("Sends")
    assert [line["Sends"] for line in metric_lines()] == [[1.0], [1.0]]


def test_what_a_handler_raises_reaches_lambda_without_its_message() -> None:
    @guard_invocation
    def handler(event: dict[str, Any], context: Any) -> None:
        raise ValueError(WORDS)

    with redirected(logger) as lines, pytest.raises(InvocationFailedError) as raised:
        handler({}, Context())
    assert str(raised.value) == "ValueError"
    assert raised.value.__cause__ is raised.value.__context__ is None
    (line,) = lines()
    assert (line["message"], line["exception_name"]) == ("invocation failed", "ValueError")
    assert WORDS not in json.dumps(line, ensure_ascii=False)


@contextmanager
def redirected(log: Logger) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that a logger writes meanwhile."""
    stream, (handler, *_) = io.StringIO(), log.handlers
    before = handler.setStream(stream)  # type: ignore[attr-defined]
    try:
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    finally:
        handler.setStream(before)  # type: ignore[attr-defined]
