"""Attempt a queued message: claim it, call WeChat, record the outcome, publish its event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from wechat_kf.app_errors import AppError, ConflictError, RetryLater
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.events import MAIN_ACCOUNT, EventQueue
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
from wechat_kf.domain.messages.message_ids import message_key
from wechat_kf.domain.messages.ports import Claim, Claimed, MessageSender, OutboundStore
from wechat_kf.domain.messages.windows import MOST_UNSETTLED

ABANDONED = Unknown(
    Failure(code="attempt_abandoned", detail="the attempt's outcome was never recorded")
)

CLAIM_MS = 35 * SECOND
"""Longer than a worker may run (30 s): when a claim has run out, its holder is gone."""


@dataclass(frozen=True, slots=True)
class Brake:
    """A worker's memory of the whole account's limits: until then every call would be refused.

    WeChat counts the main account's sends, which go another path, by themselves.
    """

    _until: dict[bool, int] = field(default_factory=dict)

    def apply(self, business_id: str, wait: Wait, now: int) -> None:
        """Remember a limit that was just met; none is remembered for other waits."""
        until = now + pause_ms(wait, now)
        self._until[business_id == MAIN_ACCOUNT] = max(self.until(business_id), until)

    def until(self, business_id: str) -> int:
        """Return when the next call for this merchant makes sense (epoch milliseconds)."""
        return self._until.get(business_id == MAIN_ACCOUNT, 0)


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
        """Attempt one message, or first the one that its conversation has to send before it.

        Raises:
            RetryLater: the message is not settled; try again after the delay.
        """
        earlier = self._find_earlier(business_id, message_id)
        if earlier is None:
            self._attempt(business_id, message_id)
        else:
            self._attempt(business_id, earlier, queued=False)
            raise RetryLater(SECOND)

    def _find_earlier(self, business_id: str, message_id: str) -> str | None:
        """Return an unsettled message that was accepted before this one, if there is any.

        The queue keeps the order, also of what was accepted in one millisecond. But a message that
        it did not take when it was accepted comes to it later: then this one waits for it.
        Broadcasts, which have a queue of their own, hold up nobody.
        """
        key = message_key(message_id)
        if key is None:
            return None
        for one in self.store.list_unsettled(business_id, key.openid, limit=MOST_UNSETTLED):
            other = message_key(one)
            if other is None or other.accepted_at >= key.accepted_at:
                return None
            if self._holds_up_others(business_id, one):
                return one
        return None

    def _holds_up_others(self, business_id: str, message_id: str) -> bool:
        """Ask the row itself: the list may be a moment behind."""
        try:
            message = self.store.get(business_id, message_id)
        except AppError:
            raise
        except Exception:
            return False  # unreadable: it stops nobody, and the sweeper reports it
        return bool(message and not message.status.settled and message.broadcast_id is None)

    def _attempt(self, business_id: str, message_id: str, *, queued: bool = True) -> None:
        """Attempt one message; if it is not `queued`, nothing but the sweeper comes back to it."""
        now = self.clock()
        if now < self.brake.until(business_id):
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
                self._settle(message, ABANDONED, queued=queued)
            case Claim(Claimed.OURS, message) if message:
                if now < message.expires_at:
                    self._settle(message, self.sender.send(message), queued=queued)
                else:  # not sent now: it counts no attempt
                    untried = replace(message, attempts=message.attempts - 1)
                    self._settle(untried, too_late(untried), queued=queued)

    def _wait_for_the_limit(self, business_id: str, message_id: str, now: int) -> None:
        """Raise `RetryLater` while every call would be refused: a read instead of two writes.

        Return if there is something to do without WeChat.
        """
        message = self.store.get(business_id, message_id)
        waiting = message and message.status is Status.ACCEPTED
        if message and waiting and now < message.expires_at:
            left = self.brake.until(business_id) - now
            raise RetryLater(max(SECOND, min(left, message.expires_at - now)))

    def _settle(self, message: OutboundMessage, outcome: Outcome, *, queued: bool = True) -> None:
        now = self.clock()
        settled = settle(message, outcome, now=now)
        try:
            self.store.finish(settled, published=queued)
        except ConflictError:
            # Another worker took the message over from us: it publishes.
            raise RetryLater(SECOND) from None
        self.report(settled, outcome)
        if settled.status.settled:
            self.events.put(outcome_event(settled, self.app_id))
            if not queued:
                self.store.mark_published(settled)
            return
        self._wait(settled, outcome, now)

    def _wait(self, message: OutboundMessage, outcome: Outcome, now: int) -> NoReturn:
        wait = outcome.wait if isinstance(outcome, NotSent) and outcome.wait else Wait.RISKY
        self.brake.apply(message.business_id, wait, now)
        left = max(SECOND, message.expires_at - now)
        raise RetryLater(min(delay_ms(wait, message, now), left))
