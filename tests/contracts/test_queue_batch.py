"""The consumer of FIFO batches, on real queues: order, waiting, partial failures."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.fakes import FakeClock
from wechat_kf.adapters.aws import queue_batch
from wechat_kf.adapters.aws.queue_batch import (
    LONGEST_DELAY_SECONDS,
    POISON_AFTER,
    Record,
    VisibilityQueue,
    process_batch,
)
from wechat_kf.app_errors import RetryLater, UnavailableError


@dataclass
class RecordingLog:
    """Stands in for the logger: (level, message, fields) of each entry."""

    entries: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def warning(self, msg: str, /, **fields: Any) -> None:
        self.entries.append(("warning", msg, fields))

    def error(self, msg: str, /, **fields: Any) -> None:
        self.entries.append(("error", msg, fields))

    def exception(self, msg: str, /, **fields: Any) -> None:
        self.entries.append(("error", msg, fields))


@dataclass
class Line:
    """A queue, and the part of a Lambda event source that feeds a function from it."""

    sqs: Any
    url: str
    handled: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, *bodies: str) -> None:
        """Bodies are `group:text`."""
        for body in bodies:
            self.sqs.send_message(
                QueueUrl=self.url,
                MessageBody=body,
                MessageGroupId=body.partition(":")[0],
                MessageDeduplicationId=body.replace(" ", "_"),
            )

    def receive(self) -> dict[str, Any]:
        """The next batch as a Lambda event."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"]
        )
        return {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                }
                for message in answer.get("Messages", ())
            ]
        }

    def consume(self, handle: Callable[[Record], None], **options: Any) -> list[str]:
        """One batch through the consumer: the bodies it left; the others are deleted."""
        event = self.receive()
        queue = VisibilityQueue(self.sqs, self.url)
        answer = process_batch(event, self.noting(handle), queue=queue, **options)
        left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        done = [record for record in event["Records"] if record["messageId"] not in left]
        if done:  # some of it perhaps deleted already: that is no failure
            entries = [{"Id": r["messageId"], "ReceiptHandle": r["receiptHandle"]} for r in done]
            self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return [one["body"] for one in event["Records"] if one["messageId"] in left]

    def noting(self, handle: Callable[[Record], None]) -> Callable[[Record], None]:
        def noting(record: Record) -> None:
            with self.lock:
                self.handled.append(record.body)
            handle(record)

        return noting


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> RecordingLog:
    recording = RecordingLog()
    monkeypatch.setattr(queue_batch, "logger", recording)
    return recording


@pytest.fixture
def line(resources: Resources, sqs: Any) -> Line:
    return Line(sqs, resources.queue("OutboundQueue"))


def succeed(record: Record) -> None:
    """Every record is fine."""


def raising(error: Exception, *bodies: str) -> Callable[[Record], None]:
    def handle(record: Record) -> None:
        if record.body in bodies:
            raise error

    return handle


def test_a_record_carries_what_the_event_source_says(line: Line) -> None:
    line.put("a:1")
    seen: list[Record] = []
    line.consume(seen.append)
    (record,) = seen
    assert (record.body, record.group_id, record.receive_count) == ("a:1", "a", 1)
    assert abs(record.sent_at_ms - time.time() * 1000) < 60_000
    assert "a:1" not in repr(record)
    assert record.receipt_handle not in repr(record)


@pytest.mark.parametrize("workers", [1, 4])
def test_every_group_is_handled_in_its_order(line: Line, workers: int) -> None:
    line.put("a:1", "b:1", "a:2", "c:1", "b:2", "a:3")
    assert line.consume(succeed, workers=workers) == []
    for group in "abc":
        mine = [body for body in line.handled if body.startswith(group)]
        assert mine == sorted(mine)
    assert len(line.handled) == 6
    assert line.receive() == {"Records": []}


def test_a_failure_stops_its_group_and_no_other(line: Line) -> None:
    line.put("a:1", "a:2", "a:3", "b:1", "b:2")
    left = line.consume(raising(RetryLater(5_000), "a:2"))
    assert left == ["a:2", "a:3"]
    assert sorted(line.handled) == ["a:1", "a:2", "b:1", "b:2"]


def test_a_group_that_waits_comes_back_after_its_delay_in_order(line: Line) -> None:
    line.put("a:1", "a:2", "a:3")
    line.consume(raising(RetryLater(200), "a:1"))  # rounded up to a second
    assert line.receive() == {"Records": []}
    line.handled.clear()
    assert _consumed_when_ready(line) == []
    assert line.handled == ["a:1", "a:2", "a:3"]


def test_a_waiting_group_lets_other_groups_pass(line: Line) -> None:
    line.put("a:1", "a:2")
    line.consume(raising(RetryLater(60_000), "a:1"))
    line.put("b:1", "a:3")
    assert line.consume(succeed) == []
    assert line.handled == ["a:1", "b:1"]


def test_groups_run_side_by_side(line: Line) -> None:
    line.put("a:1", "b:1", "c:1")
    together = threading.Barrier(3, timeout=5)
    assert line.consume(lambda record: _wait(together), workers=3) == []


def test_a_slow_group_does_not_hold_up_its_neighbours_next_message(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_batch, "GRACE_SECONDS", 0.05)
    line.put("a:1", "slow:1")
    neighbour = Line(line.sqs, line.url)
    goes_on = []

    def handle(record: Record) -> None:
        if record.body == "slow:1":
            line.put("a:2", "slow:2")
            goes_on.append(_consumed_when_ready(neighbour))

    assert line.consume(handle, workers=10) == []
    assert neighbour.handled == ["a:2"]
    assert _consumed_when_ready(line) == []
    assert sorted(line.handled) == ["a:1", "slow:1", "slow:2"]


def test_a_quick_batch_costs_no_call_of_its_own() -> None:
    sqs = Recorder()
    process_batch(
        event_of("a:1", "b:1"),
        succeed,
        queue=VisibilityQueue(sqs, "u"),
        workers=2,
    )
    assert sqs.deleted == []


def test_only_what_is_done_is_deleted_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_batch, "GRACE_SECONDS", 0.05)
    sqs = Recorder()

    def handle(record: Record) -> None:
        if record.body == "a:2":
            raise RetryLater(1_000)
        if record.body == "slow:1":
            assert sqs.was_deleted.wait(10)

    answer = process_batch(
        event_of("a:1", "a:2", "slow:1"),
        handle,
        queue=VisibilityQueue(sqs, "u"),
        workers=2,
    )

    assert sqs.deleted == ["handle a:1"]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "a:2"}]}


def test_one_worker_needs_no_threads(line: Line) -> None:
    line.put("a:1", "b:1")
    threads: list[int] = []
    line.consume(lambda record: threads.append(threading.get_ident()))
    assert threads == [threading.get_ident()] * 2


def test_an_unforeseen_error_keeps_the_rest_of_the_group_and_is_logged_without_content(
    line: Line, log: RecordingLog
) -> None:
    line.put("a:secret text", "a:2", "b:1")
    left = line.consume(raising(KeyError("field"), "a:secret text"))
    assert left == ["a:secret text", "a:2"]
    assert line.receive() == {"Records": []}
    ((level, message, fields),) = log.entries
    assert (level, message) == ("error", "record failed")
    assert "secret text" not in str(fields)


def test_a_transient_failure_is_a_warning(line: Line, log: RecordingLog) -> None:
    line.put("a:1")
    assert line.consume(raising(UnavailableError("table down"), "a:1")) == ["a:1"]
    ((level, message, fields),) = log.entries
    assert (level, message, fields["error"]) == ("warning", "record postponed", "UnavailableError")


def test_waiting_is_not_logged(line: Line, log: RecordingLog) -> None:
    line.put("a:1")
    line.consume(raising(RetryLater(1_000), "a:1"))
    assert log.entries == []


def test_what_there_is_no_time_for_is_given_back_at_once_in_order(line: Line) -> None:
    line.put("a:1", "a:2", "a:3")
    answers = iter([True, False])
    left = line.consume(succeed, has_time=lambda: next(answers))
    assert left == ["a:2", "a:3"]
    assert line.consume(succeed) == []
    assert line.handled == ["a:1", "a:2", "a:3"]


# -- what the queue is told


class Recorder:
    """An SQS that remembers what it was told, and may refuse visibilities."""

    def __init__(self, failed: list[str] | None = None) -> None:
        self.failed = failed or []
        self.told: list[int] = []
        self.deleted: list[str] = []
        self.was_deleted = threading.Event()

    def delete_message_batch(self, *, Entries: list[Any], **_: Any) -> Any:  # noqa: N803
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]
        self.was_deleted.set()
        return {}

    def get_queue_attributes(self, **_: Any) -> Any:
        return {}

    def change_message_visibility_batch(self, *, Entries: list[Any], **_: Any) -> Any:  # noqa: N803
        self.told += [entry["VisibilityTimeout"] for entry in Entries]
        return {"Failed": [{"Id": one} for one in self.failed]}


def event_of(*bodies: str, receive_count: int = 1) -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": str(receive_count), "SentTimestamp": "1"}
    return {
        "Records": [
            {
                "messageId": body,
                "receiptHandle": f"handle {body}",
                "body": body,
                "attributes": {**attributes, "MessageGroupId": body.partition(":")[0]},
            }
            for body in bodies
        ]
    }


@pytest.mark.parametrize(
    ("delay_ms", "seconds"),
    [(1, 1), (1_000, 1), (1_001, 2), (61_000, 61), (10**9, LONGEST_DELAY_SECONDS)],
)
def test_a_delay_is_rounded_up_and_within_what_sqs_takes(delay_ms: int, seconds: int) -> None:
    sqs = Recorder()
    handle = raising(RetryLater(delay_ms), "a:1")
    process_batch(event_of("a:1", "a:2"), handle, queue=VisibilityQueue(sqs, "url"))
    assert sqs.told == [seconds, seconds]


def test_the_pause_after_failures_grows_and_ends() -> None:
    sqs = Recorder()
    queue = VisibilityQueue(sqs, "url")
    for _ in range(POISON_AFTER - 1):
        process_batch(event_of("a:1"), raising(KeyError(), "a:1"), queue=queue)
    assert sqs.told == [5, 15, 30, 60, 120, 120, 120, 120, 120]


def test_the_pause_of_an_outage_grows_with_the_receives() -> None:
    told = []
    for receive_count in (1, 2, 3, 4, 5, 6, 100):
        sqs = Recorder()
        event = event_of("a:1", receive_count=receive_count)
        handle = raising(UnavailableError("table down"), "a:1")
        process_batch(event, handle, queue=VisibilityQueue(sqs, "url"))
        told += sqs.told
    assert told == [5, 15, 30, 60, 120, 120, 120]


def test_poison_leaves_alone_and_what_is_behind_it_goes_on(
    sqs: Any, resources: Resources, log: RecordingLog
) -> None:
    line, dead = Line(sqs, resources.queue("OutboundQueue")), resources.queue("OutboundQueue")
    found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": found["QueueArn"], "maxReceiveCount": 1_000}
    attributes = {"RedrivePolicy": json.dumps(policy)}
    sqs.set_queue_attributes(QueueUrl=line.url, Attributes=attributes)
    queue = VisibilityQueue(sqs, line.url)
    line.put("a:poison", "a:1", "a:2", "b:1")
    event = line.receive()
    for failures in range(1, POISON_AFTER + 1):
        answer = process_batch(event, line.noting(raising(KeyError(), "a:poison")), queue=queue)
        assert bool(answer["batchItemFailures"]) is (failures < POISON_AFTER)
    assert line.handled[-3:] == ["a:1", "a:2", "b:1"]
    (letter,) = Line(sqs, dead).receive()["Records"]
    assert letter["body"] == "a:poison"
    assert log.entries[-1][1] == "poison moved to the dead-letter queue"


def test_neither_waiting_nor_outages_make_poison() -> None:
    sqs = Recorder()
    queue = VisibilityQueue(sqs, "url")
    for error in [RetryLater(1_000), UnavailableError("down")] * 3 * POISON_AFTER:
        event = event_of("a:1", receive_count=999)
        assert process_batch(event, raising(error, "a:1"), queue=queue)["batchItemFailures"]
    process_batch(event_of("a:1"), succeed, queue=queue, has_time=lambda: False)
    assert process_batch(event, raising(KeyError(), "a:1"), queue=queue)["batchItemFailures"]


def test_poison_that_cannot_be_moved_stays(log: RecordingLog) -> None:
    queue = VisibilityQueue(Recorder(), "url")  # has no dead-letter queue
    for _ in range(POISON_AFTER + 3):
        answer = process_batch(event_of("a:1"), raising(KeyError(), "a:1"), queue=queue)
        assert answer["batchItemFailures"]
    assert log.entries[-1][1] == "poison not moved"


def test_an_outage_that_used_the_time_up_gives_the_rest_back_for_a_while() -> None:
    sqs = Recorder()
    left = iter([True, False])
    handle = raising(UnavailableError("down"), "a:1")
    event = event_of("a:1", "b:1", receive_count=3)
    process_batch(event, handle, queue=VisibilityQueue(sqs, "url"), has_time=lambda: next(left))
    assert sqs.told == [30, 30]


def test_failures_delays_and_the_age_of_the_oldest_record_are_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = VisibilityQueue(Recorder(), "url")
    process_batch(event_of("a:1"), raising(KeyError(), "a:1"), queue=queue)
    process_batch(event_of("a:1"), raising(UnavailableError("x"), "a:1"), queue=queue)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["RecordsFailed"] for line in lines if "RecordsFailed" in line] == [[1.0]]
    assert [line["RecordsPostponed"] for line in lines if "RecordsPostponed" in line] == [[1.0]]
    ages = [line["OldestRecordSeconds"][0] for line in lines if "OldestRecordSeconds" in line]
    assert len(ages) == 2
    assert all(age > 1_000_000 for age in ages), "sent in 1970"


def test_the_age_of_new_records_is_measured_once_in_ten_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old ones are always measured; `event_of` makes records of 1970."""
    clock = FakeClock(5_000)
    monkeypatch.setattr(queue_batch, "now_ms", clock)
    queue = VisibilityQueue(Recorder(), "url")

    def measured() -> int:
        process_batch(event_of("a:1"), raising(KeyError(), "none"), queue=queue)
        return capsys.readouterr().out.count('OldestRecordSeconds":[')

    assert [measured(), measured()] == [1, 0]
    clock.advance(5_000)
    assert measured() == 0
    clock.advance(1)
    assert [measured(), measured()] == [1, 1]


def test_a_refused_change_of_visibility_fails_nothing_else(log: RecordingLog) -> None:
    sqs = Recorder(failed=["0"])
    handle = raising(RetryLater(1_000), "a:1")
    queue = VisibilityQueue(sqs, "url")
    answer = process_batch(event_of("a:1", "b:1"), handle, queue=queue)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "a:1"}]}
    assert [message for _, message, _ in log.entries] == ["visibility change failed"]


def test_more_records_than_one_call_takes_are_all_delayed() -> None:
    sqs = Recorder()
    bodies = [f"a:{number}" for number in range(23)]
    handle = raising(RetryLater(1_000), "a:0")
    process_batch(event_of(*bodies), handle, queue=VisibilityQueue(sqs, "url"))
    assert len(sqs.told) == 23


def _wait(barrier: threading.Barrier) -> None:
    barrier.wait()


def _consumed_when_ready(line: Line) -> list[str]:
    """The next batch that is not empty."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = line.consume(succeed)
        if line.handled:
            return left
        time.sleep(0.05)
    raise AssertionError("nothing came back")
