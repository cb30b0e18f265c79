"""A replay ends on a queue of any size, also when all of it stays."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import pytest

from tests.fakes import FakeClock
from wechat_kf.adapters.aws.inbound_queue import event_to_body
from wechat_kf.domain.clock import HOUR, SECOND
from wechat_kf.domain.events import Event
from wechat_kf_cli.ops.dead_letters import KINDS, Filter
from wechat_kf_cli.ops.replay import HIDDEN_SECONDS, Replay

DIED = 1_767_225_000_000
DATA = {"business_id": "9"}


def body(number: int) -> str:
    return event_to_body(
        Event(f"{number:064x}", "wechat.kf.message.received", "wx1", "9", f"o{number}", DIED, DATA)
    )


@dataclass
class BigQueue:
    """A dead-letter queue of `size`, oldest first; each call takes `call_ms`.

    No more than `in_flight` are handed out before some are given back, as SQS has it.
    """

    clock: FakeClock
    size: int
    call_ms: int
    in_flight: int = 120_000
    visible: list[tuple[int, int]] = field(default_factory=list)
    hidden: dict[int, int] = field(default_factory=dict)
    calls: int = 0

    def __post_init__(self) -> None:
        self.visible = [(number, number) for number in range(self.size)]
        self.expiring: list[tuple[int, int]] = []

    def _call(self) -> None:
        self.calls += 1
        self.clock.advance(self.call_ms)
        while self.expiring and self.expiring[0][0] <= self.clock.now:
            at, number = heapq.heappop(self.expiring)
            if self.hidden.get(number) == at:
                del self.hidden[number]
                heapq.heappush(self.visible, (number, number))

    def _hide(self, number: int, seconds: int) -> None:
        self.hidden[number] = self.clock.now + seconds * SECOND
        heapq.heappush(self.expiring, (self.hidden[number], number))

    def receive_message(self, **request: Any) -> dict[str, Any]:
        self._call()
        messages: list[dict[str, Any]] = []
        while self.visible and len(messages) < 10 and len(self.hidden) < self.in_flight:
            _, number = heapq.heappop(self.visible)
            self._hide(number, request["VisibilityTimeout"])
            messages.append(
                {
                    "MessageId": str(number),
                    "ReceiptHandle": str(number),
                    "Body": body(number),
                    "Attributes": {"MessageGroupId": str(number), "SentTimestamp": str(DIED)},
                }
            )
        if not messages:
            self.clock.advance(request["WaitTimeSeconds"] * SECOND)
        return {"Messages": messages}

    def change_message_visibility_batch(self, **request: Any) -> None:
        self._call()
        for entry in request["Entries"]:
            self._hide(int(entry["ReceiptHandle"]), entry["VisibilityTimeout"])

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        self._call()
        date = formatdate(self.clock.now / 1_000, usegmt=True)
        numbers = {name: str(len(self.visible)) for name in request["AttributeNames"]}
        return {"Attributes": numbers, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}


def run(size: int, call_ms: int, **queue: Any) -> tuple[Any, int]:
    """What a dry run found in which all stays, and how long it took in milliseconds."""
    clock = FakeClock()
    sqs = BigQueue(clock, size, call_ms, **queue)
    started = clock.now
    replay = Replay(sqs, KINDS["inbound"], "dead", "queue", clock)
    tally = replay.run(Filter(business_id="42"), dry_run=True)
    return tally, clock.now - started


@pytest.mark.parametrize(("size", "call_ms"), [(0, 60), (15_000, 60), (25_000, 60), (8_000, 200)])
def test_all_are_looked_at_once(size: int, call_ms: int) -> None:
    tally, took = run(size, call_ms)
    assert (tally.looked_at, tally.behind, tally.chosen.total()) == (size, 0, 0)
    assert took < HOUR


def test_more_than_a_run_can_hold_ends_and_is_counted() -> None:
    tally, took = run(30_000, 1_000)
    assert tally.looked_at < 30_000
    assert tally.behind > 0
    assert took < 3 * HOUR


def test_more_than_sqs_hands_out_ends_and_is_counted() -> None:
    tally, _ = run(3_000, 60, in_flight=2_000)
    assert (tally.looked_at, tally.behind) == (2_000, 1_000)


def test_a_short_run_waits_for_nothing() -> None:
    _, took = run(10, 60)
    assert took < HIDDEN_SECONDS * SECOND
