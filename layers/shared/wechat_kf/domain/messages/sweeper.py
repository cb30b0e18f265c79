"""Repair messages that got stuck; safe to run twice at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.events import EventQueue
from wechat_kf.domain.messages.attempt import ABANDONED, CLAIM_MS
from wechat_kf.domain.messages.message import (
    OutboundMessage,
    Outcome,
    Status,
    outcome_event,
    settle,
    too_late,
)
from wechat_kf.domain.messages.ports import Claimed, OutboundQueue, SweeperStore


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks at every message that is unsettled for over a minute.

    - waiting: queued (its place in the queue may never have existed; a second one is harmless);
    - waiting beyond its age limit: failed as expired, with its event;
    - claimed for too long (a worker died while sending): unknown, with its event, or waiting again
      for `at_least_once`;
    - settled by an earlier pass, and not yet published: published.

    `report` gets every recorded outcome, `report_error` (message id, error) what could not be
    repaired: the pass goes on with the next message.
    """

    store: SweeperStore
    queue: OutboundQueue
    events: EventQueue
    clock: Clock
    app_id: str
    report: Callable[[OutboundMessage, Outcome], None]
    report_error: Callable[[str, Exception], None]

    def sweep(self, has_time: Callable[[], bool] = lambda: True) -> Counter[str]:
        """Make one pass; return how many messages were repaired, by the status they were in."""
        repaired: Counter[str] = Counter()
        for business_id, message_id in self.store.list_due(now=self.clock()):
            if not has_time():
                break
            try:
                status = self._repair(business_id, message_id)
            except Exception as error:  # one message never stops the pass
                self.report_error(message_id, error)
            else:
                repaired.update([status] if status else [])
        return repaired

    def _repair(self, business_id: str, message_id: str) -> Status | None:
        """Move one message on; return the status it was in, None if nothing was wrong."""
        message = self.store.get(business_id, message_id)
        if message is None:
            return None
        now = self.clock()
        if message.status.settled:
            self._publish(message)
        elif message.status is Status.SENDING:
            if now < message.claimed_until:
                return None  # a worker is at it
            self._take_over(message, now)
        elif now >= message.expires_at:
            self._take_over(message, now)
        else:
            self.queue.put(message)
            self.store.postpone(message, until=message.expires_at)
            if message.attempts > message.attempts_before:
                return None  # it was tried, so it has its place: nothing was stuck
        return message.status

    def _take_over(self, seen: OutboundMessage, now: int) -> None:
        """Settle a message that nobody works on; whoever else takes it first goes on with it."""
        claim = self.store.claim(seen.business_id, seen.message_id, now=now, until=now + CLAIM_MS)
        if claim.message is None:
            return
        if claim.result is Claimed.ABANDONED:
            self._settle(claim.message, ABANDONED, now)
        elif claim.result is Claimed.OURS:
            untried = replace(claim.message, attempts=claim.message.attempts - 1)
            if now >= untried.expires_at:
                self._settle(untried, too_late(untried), now)
            else:  # its worker gave it back since we read it: it waits, as before
                self.store.finish(replace(untried, status=Status.ACCEPTED, claimed_until=0))

    def _settle(self, message: OutboundMessage, outcome: Outcome, now: int) -> None:
        settled = settle(message, outcome, now=now)
        # It stays due until it is published: the queue's copy, which would publish it, may be lost.
        self.store.finish(settled, published=False)
        self.report(settled, outcome)
        if settled.status.settled:
            self._publish(settled)

    def _publish(self, message: OutboundMessage) -> None:
        self.events.put(outcome_event(message, self.app_id))
        self.store.mark_published(message)
