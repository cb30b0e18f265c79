"""Lambda functions behind queues, in simulated time: many workers at once, in one thread.

A worker is a greenlet: it runs the layer's own code, and where that takes time (`Model.sleep`) the
others run. Of Lambda it has the event source (batches of ten, partial failures, a maximum of
invocations at once), the concurrency of the account that all functions share, and the time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import greenlet

from tests.chaos.sqs import FifoQueue, SqsClient
from tests.chaos.timeline import Timeline
from tests.fakes import FakeClock
from wechat_kf.adapters.aws import queue_batch
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.domain.clock import SECOND

Handle = Callable[[Record, Callable[[], bool]], None]
"""Handles a record; the second argument tells whether there is time for more."""


class Model:
    """Simulated time with greenlets."""

    def __init__(self, account_concurrency: int = 1_000) -> None:
        self.clock = FakeClock()
        self.timeline = Timeline(self.clock)
        self.free = account_concurrency
        self._hub = greenlet.getcurrent()

    def spawn(self, run: Callable[[], None]) -> None:
        """Start `run` now."""
        self.timeline.at(self.clock(), greenlet.greenlet(run).switch)

    def sleep(self, milliseconds: int) -> None:
        """Let others run for so long."""
        self.timeline.after(milliseconds, greenlet.getcurrent().switch)
        self._hub.switch()

    def run(self, until: int) -> None:
        self._hub = greenlet.getcurrent()
        self.timeline.run(until)
        self.clock.now = max(self.clock.now, until)


@dataclass
class Limit:
    """Of one event source: its invocations at once, and the function's time limit."""

    concurrency: int = 20
    seconds: int = 30
    margin_seconds: int = 10


class EventSource:
    """Feeds a function from a queue."""

    def __init__(
        self,
        model: Model,
        queue: FifoQueue,
        client: SqsClient,
        start: Callable[[], Handle],
        limit: Limit,
    ) -> None:
        self._model = model
        self._queue = queue
        self._start = start
        self._limit = limit
        self._idle: list[Handle] = []
        self._running = 0
        self._visibility = VisibilityQueue(client, queue.url, reports_age=False)
        self._due: int | None = None
        queue.wake = self._wake

    def _wake(self, at: int) -> None:
        if self._due is None or at < self._due:
            self._due = at
            self._model.timeline.at(at, lambda: self._poll(at))

    def _poll(self, at: int) -> None:
        if at != self._due:
            return
        self._due = None
        while self._running < self._limit.concurrency and self._model.free:
            batch = self._queue.receive()
            if not batch:
                following = self._queue.next_at()
                if following is not None:
                    self._wake(max(following, self._model.clock() + 100))
                return
            self._invoke([message.record() for message in batch])
        if not self._model.free:  # throttled: Lambda tries again
            self._wake(self._model.clock() + SECOND)

    def _invoke(self, records: Sequence[Mapping[str, Any]]) -> None:
        handle = self._idle.pop() if self._idle else self._start()
        self._running += 1
        self._model.free -= 1
        groups: dict[str, list[Mapping[str, Any]]] = {}
        for record in records:
            groups.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
        started, left = self._model.clock(), len(groups)
        done: list[str] = []

        def run(group: Sequence[Mapping[str, Any]]) -> None:
            nonlocal left
            done.extend(self._run_group(group, handle, started))
            left -= 1
            grace_ms = int(queue_batch.GRACE_SECONDS * SECOND)
            if left == 0:
                self._running -= 1
                self._model.free += 1
                self._idle.append(handle)
            elif self._model.clock() - started < grace_ms:
                return  # a quick batch is deleted at its end, a longer one early
            self._delete(done)
            self._wake(self._model.clock())

        for group in groups.values():
            self._model.spawn(lambda group=group: run(group))  # type: ignore[misc]
        if len(groups) > 1:
            grace = self._model.clock() + int(queue_batch.GRACE_SECONDS * SECOND)
            self._model.timeline.at(grace, lambda: self._delete(done))

    def _run_group(
        self, group: Sequence[Mapping[str, Any]], handle: Handle, started: int
    ) -> list[str]:
        ends = started + (self._limit.seconds - self._limit.margin_seconds) * SECOND
        has_time = lambda: self._model.clock() < ends  # noqa: E731
        answer = process_batch(
            {"Records": group},
            lambda record: handle(record, has_time),
            queue=self._visibility,
            has_time=has_time,
        )
        failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        return [one["messageId"] for one in group if one["messageId"] not in failed]

    def _delete(self, done: list[str]) -> None:
        for message_id in done:
            self._queue.delete(message_id)
        done.clear()
