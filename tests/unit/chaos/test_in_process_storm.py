"""The storm in process, in its short form; and that its reckoning would notice a fault of ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos import sqs
from tests.chaos.in_process import Plan, run
from tests.chaos.sqs import FifoQueue
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.message import OutboundMessage, Outcome
from wechat_kf.domain.subscriptions.fanout import FanOut

SHORT = Plan(seed=1, pushes=800, sends=200, conversations=160)


def test_every_promise_is_kept_in_a_storm() -> None:
    report = run(SHORT)
    assert report.kept, report.offenders()
    # And it was one: everything that can happen did.
    for name in ("crashes before a step", "crashes after a step", "refused steps", "lost answers"):
        assert int(report.counts[name]) > 0
    assert int(report.counts["repeats the subscriber asked for"]) > 0
    assert report.counts["pushes sent in"] == SHORT.pushes
    assert int(report.counts["events acknowledged"]) > 700


def test_the_same_seed_is_the_same_storm() -> None:
    plan = replace(SHORT, pushes=300, sends=60, conversations=60)
    assert run(plan).counts == run(plan).counts
    assert run(plan).counts != run(replace(plan, seed=2)).counts


def test_an_event_that_is_dropped_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    put = FanOut.put

    def forgetful(self: FanOut, event: object) -> None:
        if not str(getattr(event, "id", "")).startswith("0"):
            put(self, event)  # type: ignore[arg-type]

    monkeypatch.setattr(FanOut, "put", forgetful)
    assert run(SHORT).broken["pushes lost"]


def test_a_queue_that_forgets_what_it_has_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs, "DEDUPLICATION_MS", 0)
    assert run(SHORT).broken["deliveries duplicated under one id"]


def test_a_queue_without_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    put = FifoQueue.put

    def unordered(self: FifoQueue, body: str, group_id: str, deduplication_id: str) -> None:
        put(self, body, deduplication_id, deduplication_id)

    monkeypatch.setattr(FifoQueue, "put", unordered)
    report = run(SHORT)
    assert report.broken["conversations out of order"]


def test_a_message_that_is_sent_again_silently_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    settle = Attempt._settle

    def careless(
        self: Attempt, message: OutboundMessage, outcome: Outcome, *, queued: bool = True
    ) -> None:
        if message.attempts == 1:
            self.sender.send(message)
        settle(self, message, outcome, queued=queued)

    monkeypatch.setattr(Attempt, "_settle", careless)
    assert run(SHORT).broken["at_most_once answers duplicated"]
