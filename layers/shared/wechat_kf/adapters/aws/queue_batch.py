"""Consume a batch of a FIFO queue: each conversation in order, conversations in parallel.

Why not Powertools' `SqsFifoPartialProcessor`: it cannot change a message's visibility, so a message
that should wait a second would wait for the queue's visibility timeout; and it handles the groups
of a batch one after the other, so a slow subscriber would delay everybody else's events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.errors import RetryLater
from wechat_kf.observability import logger

BACKOFF_SECONDS = (5, 15, 30, 60, 120)
"""The pause after the first, second, … unexpected failure."""

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
        )


Handle = Callable[[Record], None]


@dataclass(frozen=True, slots=True)
class VisibilityQueue:
    """The queue a batch came from; sets when its messages are visible again."""

    client: Any
    queue_url: str

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


@dataclass(frozen=True, slots=True)
class _Group:
    """Handles the records of one group, until one of them fails."""

    handle: Handle
    queue: VisibilityQueue
    has_time: Callable[[], bool]

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
        if not self.has_time():
            return 0
        try:
            self.handle(record)
        except RetryLater as later:
            return -(-later.delay_ms // 1000)
        except Exception as error:
            step = min(record.receive_count, len(BACKOFF_SECONDS)) - 1
            self._report(record, error)
            return BACKOFF_SECONDS[step]
        return None

    def _report(self, record: Record, error: Exception) -> None:
        facts: dict[str, Any] = {
            "queue_message": record.message_id,
            "receive_count": record.receive_count,
        }
        if getattr(error, "transient", False):
            logger.warning("record postponed", **facts, error=type(error).__name__)
        else:
            logger.exception("record failed", **facts)

    def delete(self, records: Sequence[Record]) -> None:
        """Delete what is done, which frees its conversations."""
        try:
            self.queue.delete(records)
        except (BotoCoreError, ClientError) as error:
            # The event source deletes them when the batch is done.
            logger.warning("early delete failed", error=type(error).__name__)

    def _delay(self, records: Sequence[Record], seconds: int) -> None:
        try:
            self.queue.delay(records, seconds)
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
    order: `RetryLater` says for how long, any other exception costs a growing pause. Other groups
    go on; with `workers` > 1 they run in parallel, and `handle` must be thread-safe.

    `has_time` is asked before each record: False gives the rest back at once, so that no attempt is
    cut off by the function's time limit.
    """
    group = _Group(handle, queue, has_time)
    groups = _split_groups(Record.from_event(record) for record in event["Records"])
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


def _split_done(run: Future[Sequence[Record]], records: Sequence[Record]) -> Sequence[Record]:
    return records[: len(records) - len(run.result())]


def _split_groups(records: Any) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group_id, []).append(record)
    return list(groups.values())
