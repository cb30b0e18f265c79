"""Attempt a queued message: claim it, call WeChat, record the outcome, publish its event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.events import EventQueue
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Status,
    Unknown,
    Wait,
    delay_ms,
    outcome_event,
    pause_ms,
    settle,
    too_late,
)
from wechat_kf.domain.messages.ports import Claim, Claimed, MessageSender, OutboundStore
from wechat_kf.errors import ConflictError, RetryLater

ABANDONED = Unknown(
    Failure(code="attempt_abandoned", detail="the attempt's outcome was never recorded")
)

CLAIM_MS = 35 * SECOND
"""Longer than a worker may run (30 s): when a claim has run out, its holder is gone."""


@dataclass(slots=True)
class Brake:
    """A worker's memory of a limit of the whole account: until then every call would be refused."""

    until: int = 0

    def apply(self, wait: Wait, now: int) -> None:
        """Remember a limit that was just met; none is remembered for other waits."""
        self.until = max(self.until, now + pause_ms(wait, now))

    def on(self, now: int) -> bool:
        return now < self.until


@dataclass(frozen=True, slots=True)
class Attempt:
    """Claims a queued message, sends it, records the outcome, publishes it.

    `report` gets every recorded outcome, for logs and metrics.
    """

    store: OutboundStore
    sender: MessageSender
    events: EventQueue
    clock: Clock
    app_id: str
    report: Callable[[OutboundMessage, Outcome], None]
    claim_ms: int = CLAIM_MS
    brake: Brake = field(default_factory=Brake)

    def attempt(self, business_id: str, message_id: str) -> None:
        """Attempt one message.

        Raises:
            RetryLater: the message is not settled; try again after the delay.
        """
        now = self.clock()
        if self.brake.on(now):
            self._wait_for_the_limit(business_id, message_id, now)
        claim = self.store.claim(business_id, message_id, now=now, until=now + self.claim_ms)
        match claim:
            case Claim(Claimed.ABSENT, _):
                return  # expired from the table, or never accepted: nothing to send
            case Claim(Claimed.SETTLED, message) if message:
                # Perhaps a crash came between the record and the event; the event's id repeats.
                self.events.put(outcome_event(message, self.app_id))
            case Claim(Claimed.HELD, message) if message:
                raise RetryLater(max(SECOND, message.claimed_until - now))
            case Claim(Claimed.ABANDONED, message) if message:
                self._settle(message, ABANDONED)
            case Claim(Claimed.OURS, message) if message:
                expired = now >= message.expires_at
                self._settle(message, too_late(message) if expired else self.sender.send(message))

    def _wait_for_the_limit(self, business_id: str, message_id: str, now: int) -> None:
        """Raise `RetryLater` while every call would be refused: a read instead of two writes.

        Return if there is something to do without WeChat.
        """
        message = self.store.get(business_id, message_id)
        waiting = message and message.status in (Status.ACCEPTED, Status.QUEUED)
        if message and waiting and now < message.expires_at:
            left = self.brake.until - now
            raise RetryLater(max(SECOND, min(left, message.expires_at - now)))

    def _settle(self, message: OutboundMessage, outcome: Outcome) -> None:
        now = self.clock()
        settled = settle(message, outcome, now=now)
        try:
            self.store.finish(settled)
        except ConflictError:
            # Another worker took the message over from us: it publishes.
            raise RetryLater(SECOND) from None
        self.report(settled, outcome)
        if settled.status.settled:
            self.events.put(outcome_event(settled, self.app_id))
            return
        self._wait(settled, outcome, now)

    def _wait(self, message: OutboundMessage, outcome: Outcome, now: int) -> NoReturn:
        wait = outcome.wait if isinstance(outcome, NotSent) and outcome.wait else Wait.RISKY
        self.brake.apply(wait, now)
        left = max(SECOND, message.expires_at - now)
        raise RetryLater(min(delay_ms(wait, message, now), left))
