"""Consume a batch of a FIFO queue: each conversation in order, conversations in parallel.

Why not Powertools' `SqsFifoPartialProcessor`: it cannot change a message's visibility, so a message
that should wait a second would wait for the queue's visibility timeout; and it handles the groups
of a batch one after the other, so a slow subscriber would delay everybody else's events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.app_errors import RetryLater
from wechat_kf.domain.clock import now_ms
from wechat_kf.observability import count, logger, measure

BACKOFF_SECONDS = (5, 15, 30, 60, 120)
"""The pause after the first, second, … failure. With the queues' `maxReceiveCount` of 1 000, what
we depend on may be away for 33 hours before SQS gives a message up."""

POISON_AFTER = 10
"""A record that failed unexpectedly so often is poison: it is moved to the dead-letter queue alone,
and what is behind it goes on.

Each worker counts for itself, so this takes 9 n + 1 failures at most when n workers share the
queue, and 12 minutes when one does. SQS's own count would be sooner there but wrong: it includes
what was only postponed, so an outage would make poison of healthy records.
"""

_MOST_COUNTED = 10_000

REPORT_MS = 10_000
"""The age of new records is measured once in this time."""

LONGEST_DELAY_SECONDS = 12 * 3600 - 15 * 60
"""SQS's maximum of 12 hours starts at the receive, up to 15 minutes ago."""

GRACE_SECONDS = 1.0
"""A batch that takes longer deletes early what is done. SQS hands out nothing of a conversation
while a message of it is in a batch: without this, a slow subscriber in a batch would delay the
next messages of its healthy neighbours."""

_BATCH = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One message from a Lambda event source. Its body stays out of the repr."""

    message_id: str
    receipt_handle: str = field(repr=False)
    body: str = field(repr=False)
    group_id: str
    receive_count: int
    sent_at_ms: int
    sequence_number: str = ""

    @classmethod
    def from_event(cls, record: Mapping[str, Any]) -> Record:
        """Read a record of an SQS event; one of a standard queue is its own group."""
        attributes = record["attributes"]
        return cls(
            message_id=record["messageId"],
            receipt_handle=record["receiptHandle"],
            body=record["body"],
            group_id=attributes.get("MessageGroupId", record["messageId"]),
            receive_count=int(attributes["ApproximateReceiveCount"]),
            sent_at_ms=int(attributes["SentTimestamp"]),
            sequence_number=attributes.get("SequenceNumber", ""),
        )


Handle = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class VisibilityQueue:
    """The queue a batch came from; sets when its messages are visible again."""

    client: Any
    queue_url: str
    reports_age: bool = True
    _report_at: list[int] = field(default_factory=lambda: [0], init=False, repr=False)
    _failures: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _dead_letter_url: list[str] = field(default_factory=list, init=False, repr=False)

    def delay(self, records: Sequence[Record], seconds: int) -> None:
        """Hide `records` (of one batch) for `seconds` from now.

        Raises botocore's errors, and ValueError when SQS refuses one of them.
        """
        for start in range(0, len(records), _BATCH):
            answer = self.client.change_message_visibility_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {
                        "Id": str(number),
                        "ReceiptHandle": record.receipt_handle,
                        "VisibilityTimeout": min(seconds, LONGEST_DELAY_SECONDS),
                    }
                    for number, record in enumerate(records[start : start + _BATCH])
                ],
            )
            if refused := answer.get("Failed"):
                raise ValueError(f"SQS refused {len(refused)} changes of visibility")

    def delete(self, records: Sequence[Record]) -> None:
        """Delete `records` (of one batch) ahead of the event source. Raises botocore's errors.

        The event source deletes what SQS refuses here.
        """
        for start in range(0, len(records), _BATCH):
            self.client.delete_message_batch(
                QueueUrl=self.queue_url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": record.receipt_handle}
                    for number, record in enumerate(records[start : start + _BATCH])
                ],
            )

    def report_age(self, records: Sequence[Record]) -> None:
        """Measure the age of the oldest record: of old ones always, else once in ten seconds.

        CloudWatch charges for each byte of a line.
        """
        if not self.reports_age:
            return
        now = now_ms()
        age_ms = max(0, now - min((record.sent_at_ms for record in records), default=now))
        if age_ms >= REPORT_MS or now >= self._report_at[0]:
            self._report_at[0] = now + REPORT_MS
            measure("OldestRecordSeconds", age_ms / 1000)

    def count_failure(self, record: Record) -> int:
        """Count an unexpected failure of a record; return how many there were."""
        if len(self._failures) >= _MOST_COUNTED:
            self._failures.clear()
        self._failures[record.message_id] = self._failures.get(record.message_id, 0) + 1
        return self._failures[record.message_id]

    def bury(self, record: Record) -> None:
        """Put `record` into the dead-letter queue. Raises botocore's errors, and KeyError."""
        url = self._find_dead_letter_queue()
        order = {}
        if url.endswith(".fifo"):
            order = {
                "MessageGroupId": record.group_id,
                "MessageDeduplicationId": record.message_id,
            }
        self.client.send_message(
            QueueUrl=url,
            MessageBody=record.body,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": "poison"}},
            **order,
        )
        self._failures.pop(record.message_id, None)

    def _find_dead_letter_queue(self) -> str:
        """Return the URL of the queue's own dead-letter queue, which is its neighbour."""
        if not self._dead_letter_url:
            answer = self.client.get_queue_attributes(
                QueueUrl=self.queue_url, AttributeNames=["RedrivePolicy"]
            )
            policy = json.loads(answer["Attributes"]["RedrivePolicy"])
            name = policy["deadLetterTargetArn"].rpartition(":")[2]
            self._dead_letter_url.append(f"{self.queue_url.rpartition('/')[0]}/{name}")
        return self._dead_letter_url[0]


@dataclass(slots=True)
class _Batch:
    """What the groups of a batch share. `in_trouble`: something we depend on failed."""

    handle: Handle
    queue: VisibilityQueue
    has_time: Callable[[], bool]
    in_trouble: bool = False


@dataclass(frozen=True, slots=True)
class _Group:
    """Handles the records of one group, until one of them must wait."""

    batch: _Batch

    def process(self, records: Sequence[Record]) -> Sequence[Record]:
        """Handle `records` and return those not done: the one that failed and all behind it."""
        for position, record in enumerate(records):
            delay = self._attempt(record)
            if delay is not None:
                self._delay(records[position:], delay)
                return records[position:]
        return ()

    def _attempt(self, record: Record) -> int | None:
        """Handle one record; return None when done, else the seconds to hide its group."""
        if not self.batch.has_time():
            # At once, unless an outage used the time up: then coming back soon would not help.
            return _pause_after(record.receive_count) if self.batch.in_trouble else 0
        facts: dict[str, Any] = {
            "queue_message": record.message_id,
            "receive_count": record.receive_count,
        }
        try:
            self.batch.handle(record)
        except RetryLater as later:
            return -(-later.delay_ms // 1000)
        except Exception as error:
            if getattr(error, "transient", False):
                self.batch.in_trouble = True
                logger.warning("record postponed", **facts, error=type(error).__name__)
                count("RecordsPostponed")
                return _pause_after(record.receive_count)
            logger.exception("record failed", **facts)
            count("RecordsFailed")
            return self._count_failure(record, facts)
        return None

    def _count_failure(self, record: Record, facts: Mapping[str, Any]) -> int | None:
        """Take poison out of the queue; return None then, else the pause."""
        failures = self.batch.queue.count_failure(record)
        if failures < POISON_AFTER:
            return _pause_after(failures)
        try:
            self.batch.queue.bury(record)
        except (BotoCoreError, ClientError, KeyError) as error:
            logger.warning("poison not moved", **facts, error=type(error).__name__)
            return _pause_after(failures)
        logger.error("poison moved to the dead-letter queue", **facts)
        return None

    def delete(self, records: Sequence[Record]) -> None:
        """Delete what is done, which frees its conversations."""
        try:
            self.batch.queue.delete(records)
        except (BotoCoreError, ClientError) as error:
            # The event source deletes them when the batch is done.
            logger.warning("early delete failed", error=type(error).__name__)

    def _delay(self, records: Sequence[Record], seconds: int) -> None:
        try:
            self.batch.queue.delay(records, seconds)
        except (BotoCoreError, ClientError, ValueError) as error:
            # They stay hidden until the queue's own visibility timeout.
            logger.warning(
                "visibility change failed",
                queue_message=records[0].message_id,
                error=type(error).__name__,
            )


def process_batch(
    event: Mapping[str, Any],
    handle: Handle,
    *,
    queue: VisibilityQueue,
    workers: int = 1,
    has_time: Callable[[], bool] = lambda: True,
) -> dict[str, list[dict[str, str]]]:
    """Handle the records of an SQS event and return the partial batch response.

    Records of one group are handled in order. When one raises, it and the rest of its group are
    reported as failed and hidden for the same time, so that the queue hands them out again in
    order: `RetryLater` says for how long, any other exception costs a growing pause. One that fails
    unexpectedly `POISON_AFTER` times is moved to the dead-letter queue, and the rest goes on. Other
    groups go on; with `workers` > 1 they run in parallel, and `handle` must be thread-safe.

    `has_time` is asked before each record: False gives the rest back at once, so that no attempt is
    cut off by the function's time limit.
    """
    records = [Record.from_event(record) for record in event["Records"]]
    queue.report_age(records)
    group = _Group(_Batch(handle, queue, has_time))
    groups = _split_groups(records)
    if workers > 1 and len(groups) > 1:
        left = _run_parallel(group, groups, workers)
    else:
        left = [group.process(records) for records in groups]
    return {
        "batchItemFailures": [
            {"itemIdentifier": record.message_id} for records in left for record in records
        ]
    }


def _run_parallel(
    group: _Group, groups: Sequence[Sequence[Record]], workers: int
) -> list[Sequence[Record]]:
    """Process groups in parallel and return what is left of each."""
    with ThreadPoolExecutor(max_workers=min(workers, len(groups))) as pool:
        runs = {pool.submit(group.process, records): records for records in groups}
        finished, running = wait(runs, timeout=GRACE_SECONDS)
        while running:
            group.delete([record for run in finished for record in _split_done(run, runs[run])])
            finished, running = wait(running, return_when=FIRST_COMPLETED)
        return [run.result() for run in runs]


def _pause_after(failures: int) -> int:
    return BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1]


def _split_done(run: Future[Sequence[Record]], records: Sequence[Record]) -> Sequence[Record]:
    return records[: len(records) - len(run.result())]


def _split_groups(records: Any) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group_id, []).append(record)
    return list(groups.values())
