"""Consumes a batch of a FIFO queue: every conversation in order, conversations side by side.

Why not Powertools' `SqsFifoPartialProcessor`: it cannot change a message's visibility, so a message
that should wait a second would wait out the queue's whole visibility timeout, and it takes the
groups of a batch one after the other, so a slow subscriber would hold up everybody else's events.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.errors import RetryLater

BACKOFF_SECONDS = (5, 15, 30, 60, 120)
"""The pause after the first, second, … failure we did not foresee: ten of them take a quarter of an
hour, then the queue's redrive policy takes the message away."""

LONGEST_DELAY_SECONDS = 12 * 3600 - 15 * 60
"""SQS counts its 12 hours from the receive, and a function may have run for 15 minutes since."""

GRACE_SECONDS = 1.0
"""A batch that takes longer gives what is done back early. SQS hands nothing more of a conversation
out while a message of it is in a batch: without this, a batch with one slow subscriber in it would
hold up its healthy neighbours' next messages."""

_BATCH = 10


@dataclass(frozen=True, slots=True)
class Record:
    """One message as a Lambda event source hands it over. The body stays out of the repr."""

    message_id: str
    receipt_handle: str = field(repr=False)
    body: str = field(repr=False)
    group_id: str
    receive_count: int
    sent_at_ms: int

    @classmethod
    def from_event(cls, record: Mapping[str, Any]) -> Record:
        """A record of an SQS event; one of a standard queue is a group of its own."""
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


class Log(Protocol):
    """What we ask of a logger: the standard library's and Powertools' both have it."""

    def warning(self, msg: str, /, *, extra: Mapping[str, object] | None = None) -> None: ...

    def exception(self, msg: str, /, *, extra: Mapping[str, object] | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class VisibilityQueue:
    """The queue a batch came from: decides when its messages are seen again."""

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
        """Take `records` (of one batch) out, ahead of the event source. Raises botocore's errors.

        One that SQS refuses is taken out by the event source.
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
    logger: Log
    has_time: Callable[[], bool]

    def process(self, records: Sequence[Record]) -> Sequence[Record]:
        """The records that are not done: the one that failed and all behind it."""
        for position, record in enumerate(records):
            delay = self._attempt(record)
            if delay is not None:
                self._delay(records[position:], delay)
                return records[position:]
        return ()

    def _attempt(self, record: Record) -> int | None:
        """None when the record is done, else the seconds to leave its group alone."""
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
        facts = {"queue_message": record.message_id, "receive_count": record.receive_count}
        if getattr(error, "transient", False):
            self.logger.warning("record postponed", extra={**facts, "error": type(error).__name__})
        else:
            self.logger.exception("record failed", extra=facts)

    def delete(self, records: Sequence[Record]) -> None:
        """Free the conversations of what is done."""
        try:
            self.queue.delete(records)
        except (BotoCoreError, ClientError) as error:
            # The event source deletes them when the batch is done: late, but no harm.
            self.logger.warning("not deleted early", extra={"error": type(error).__name__})

    def _delay(self, records: Sequence[Record], seconds: int) -> None:
        try:
            self.queue.delay(records, seconds)
        except (BotoCoreError, ClientError, ValueError) as error:
            # They stay hidden until the queue's own visibility timeout: late, but not lost.
            self.logger.warning(
                "visibility not changed",
                extra={"queue_message": records[0].message_id, "error": type(error).__name__},
            )


def process_batch(  # noqa: PLR0913 - all but two are keywords
    event: Mapping[str, Any],
    handle: Handle,
    *,
    queue: VisibilityQueue,
    workers: int = 1,
    logger: Log | None = None,
    has_time: Callable[[], bool] = lambda: True,
) -> dict[str, list[dict[str, str]]]:
    """Handle the records of an SQS event and say which are not done (a partial batch response).

    Records of one group are handled in order. When one raises, it and the rest of its group are
    reported as failed and hidden for a while, all for the same time, so that the queue hands them
    out again in order: `RetryLater` says for how long, any other exception costs a growing pause.
    Other groups go on; with `workers` > 1 they run side by side, and `handle` must be thread-safe.
    Then a slow group does not hold up what comes next in the others, see `GRACE_SECONDS`.

    `has_time` is asked before each record: False gives the rest back at once, so that no attempt is
    cut off in the middle by the function's time limit.
    """
    group = _Group(handle, queue, logger or logging.getLogger(__name__), has_time)
    groups = _by_group(Record.from_event(record) for record in event["Records"])
    if workers > 1 and len(groups) > 1:
        left = _side_by_side(group, groups, workers)
    else:
        left = [group.process(records) for records in groups]
    return {
        "batchItemFailures": [
            {"itemIdentifier": record.message_id} for records in left for record in records
        ]
    }


def _side_by_side(
    group: _Group, groups: Sequence[Sequence[Record]], workers: int
) -> list[Sequence[Record]]:
    """What is left of each group."""
    with ThreadPoolExecutor(max_workers=min(workers, len(groups))) as pool:
        runs = {pool.submit(group.process, records): records for records in groups}
        finished, running = wait(runs, timeout=GRACE_SECONDS)
        while running:
            group.delete([record for run in finished for record in _done(run, runs[run])])
            finished, running = wait(running, return_when=FIRST_COMPLETED)
        return [run.result() for run in runs]


def _done(run: Future[Sequence[Record]], records: Sequence[Record]) -> Sequence[Record]:
    return records[: len(records) - len(run.result())]


def _by_group(records: Any) -> list[list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group_id, []).append(record)
    return list(groups.values())
