"""The use cases around an outbound message: accept it, attempt it, try again on a caller's word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.messages.conversations import Conversation, ConversationStore, Window, window
from wechat_kf.domain.messages.message import (
    Claim,
    Claimed,
    EventQueue,
    Failure,
    MessageSender,
    NotSent,
    OutboundMessage,
    OutboundQueue,
    OutboundStore,
    Outcome,
    SendRequest,
    Status,
    Unknown,
    Wait,
    accept,
    delay_ms,
    outcome_event,
    pause_ms,
    settle,
    too_late,
)
from wechat_kf.errors import ConflictError, IdempotencyKeyReusedError, NotFoundError

ABANDONED = Unknown(
    Failure(code="attempt_abandoned", detail="the attempt's outcome was never recorded")
)

CLAIM_MS = 35 * SECOND
"""Longer than the worker may live (its time-out is 30 s), so that whoever finds a claim that ran
out knows that its holder is gone."""


class RetryLater(Exception):  # noqa: N818 - it names an outcome, not an error
    """The queue should hand this message (and its conversation) out again after `delay_ms`."""

    def __init__(self, delay: int) -> None:
        super().__init__(f"again in {delay} ms")
        self.delay_ms = delay


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Takes a request in: stored first, then queued, so that accepted means safe."""

    store: OutboundStore
    queue: OutboundQueue
    clock: Clock
    max_age_ms: int

    def accept(self, request: SendRequest) -> OutboundMessage:
        """Store and queue a message; the same idempotency key answers with the same message.

        A crash between the two leaves it `accepted`: the caller's retry, or the sweeper, queues it.

        Raises:
            IdempotencyKeyReusedError: the key came with another body before.
        """
        new = accept(request, now=self.clock(), max_age_ms=self.max_age_ms)
        message = self.store.add(new)
        if message.request_digest != new.request_digest:
            raise IdempotencyKeyReusedError(
                "this Idempotency-Key was used before with another body"
            )
        return self._queued(message)

    def retry(self, business_id: str, message_id: str) -> OutboundMessage:
        """Send a failed or unknown message again, within new limits and with its attempts kept.

        For an unknown one the caller accepts a duplicate by asking.

        Raises:
            NotFoundError: there is no such message.
            ConflictError: it is on its way or sent, or its content is not kept any more.
        """
        message = self.get(business_id, message_id)
        if message.status is Status.ACCEPTED and message.attempts:
            return self._queued(message)  # an earlier retry got no further: finish it
        if message.status not in (Status.FAILED, Status.UNKNOWN):
            raise _not_retriable(message)
        if not message.content:
            raise ConflictError("the message's content is not kept any more (retention 0)")
        again = replace(
            message,
            status=Status.ACCEPTED,
            settled_at=0,
            claimed_until=0,
            risky_attempts=0,
            expires_at=self.clock() + self.max_age_ms,
        )
        if not self.store.reopen(again):
            raise _not_retriable(self.get(business_id, message_id))
        return self._queued(again)

    def get(self, business_id: str, message_id: str) -> OutboundMessage:
        """Raises NotFoundError."""
        message = self.store.get(business_id, message_id)
        if message is None:
            raise NotFoundError("no such message")
        return message

    def _queued(self, message: OutboundMessage) -> OutboundMessage:
        if message.status is not Status.ACCEPTED:
            return message
        self.queue.put(message)
        self.store.mark_queued(message.business_id, message.message_id)
        return replace(message, status=Status.QUEUED)


def _not_retriable(message: OutboundMessage) -> ConflictError:
    return ConflictError(
        f"only a failed or unknown message can be retried; this one is {message.status}",
        message_status=str(message.status),
    )


@dataclass(slots=True)
class Brake:
    """One worker's memory of a limit of the whole account: until then, calls would be in vain."""

    until: int = 0

    def apply(self, wait: Wait, now: int) -> None:
        """Remember a limit that was just met; none is remembered for other waits."""
        self.until = max(self.until, now + pause_ms(wait, now))

    def on(self, now: int) -> bool:
        return now < self.until


Report = Callable[[OutboundMessage, Outcome], None]


def _silent(message: OutboundMessage, outcome: Outcome) -> None:
    """The default report."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Claims a queued message, sends it, records the outcome, tells the subscribers.

    `report` is told every recorded outcome, for logs and metrics.
    """

    store: OutboundStore
    sender: MessageSender
    events: EventQueue
    clock: Clock
    app_id: str
    claim_ms: int = CLAIM_MS
    report: Report = _silent
    brake: Brake = field(default_factory=Brake)

    def attempt(self, business_id: str, message_id: str) -> None:
        """Take one message as far as it goes now.

        Raises:
            RetryLater: it is not settled, and this call can do no more for it now.
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
        """Leave the message alone while all calls would be refused: a read instead of two writes.

        Returns if there is something to do without WeChat.
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
            # We were so slow that another worker took the message over: it tells what became of it.
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


def advisory_window(
    conversations: ConversationStore, store: OutboundStore, key: tuple[str, str], now: int
) -> Window:
    """The send window of (business id, openid) at `now`, by our own count."""
    business_id, openid = key
    conversation = conversations.get(business_id, openid) or Conversation(business_id, openid)
    return window_of(conversation, store, now)


def window_of(conversation: Conversation, store: OutboundStore, now: int) -> Window:
    """The send window of a conversation at `now`; one that is closed anyway costs no read."""
    untouched = window(conversation, [], now)
    if not untouched.open:
        return untouched
    since = min(filter(None, (conversation.messaged_at, conversation.entered_at)))
    sent = store.sent_at(conversation.business_id, conversation.openid, since=since, limit=10)
    return window(conversation, sent, now)
