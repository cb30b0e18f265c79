"""Repair messages that got stuck; safe to run twice at once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Status,
    Wait,
)
from wechat_kf.domain.messages.ports import OutboundQueue, OverdueStore
from wechat_kf.errors import RetryLater


class NoSender:
    """A `MessageSender` that sends nothing: the sweeper settles, it never calls WeChat."""

    def send(self, message: OutboundMessage) -> Outcome:
        return NotSent(Failure("left_to_a_worker", "the sweeper does not send"), Wait.SHORT)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Repairs three kinds of stuck messages.

    - accepted and never queued (a crash, or SQS was down): queued;
    - claimed for too long (a worker died while sending): unknown, with its event, or back in line
      for `at_least_once`;
    - queued beyond its age limit (its place in the queue is gone): failed as expired, with its
      event.

    `settler` must have a `NoSender`.
    """

    store: OverdueStore
    queue: OutboundQueue
    settler: Attempt
    batch: int = 100

    def sweep(self) -> Counter[str]:
        """Make one pass; return how many messages were overdue, by the status they were in."""
        now = self.settler.clock()
        found: Counter[str] = Counter()
        for business_id, message_id in self.store.overdue(now=now, limit=self.batch):
            message = self.store.get(business_id, message_id)
            if message and self._repair(message, now):
                found[message.status] += 1
        return found

    def _repair(self, message: OutboundMessage, now: int) -> bool:
        """Return whether there was anything to do: the list may be a little out of date."""
        if message.status is Status.ACCEPTED:
            self.queue.put(message)
            self.store.mark_queued(message.business_id, message.message_id)
            return True
        expired = message.status is Status.QUEUED and now >= message.expires_at
        abandoned = message.status is Status.SENDING and now >= message.claimed_until
        if expired or abandoned:
            with suppress(RetryLater):  # in line again, or another sweeper has it
                self.settler.attempt(message.business_id, message.message_id)
        return expired or abandoned
