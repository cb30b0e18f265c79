"""The two use cases around an outbound message: accept it, and attempt it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.conversation import Conversation, ConversationStore, Window, window
from wechat_kf.domain.outbound import (
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
    settle,
)
from wechat_kf.errors import IdempotencyKeyReusedError, NotFoundError

ABANDONED = Unknown(
    Failure(code="attempt_abandoned", detail="the attempt's outcome was never recorded")
)


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
        if message.status is Status.ACCEPTED:
            self.queue.put(message)
            self.store.mark_queued(message.business_id, message.message_id)
        return message

    def get(self, business_id: str, message_id: str) -> OutboundMessage:
        """Raises NotFoundError."""
        message = self.store.get(business_id, message_id)
        if message is None:
            raise NotFoundError("no such message")
        return message


@dataclass(frozen=True, slots=True)
class Attempt:
    """Claims a queued message, sends it, records the outcome, tells the subscribers."""

    store: OutboundStore
    sender: MessageSender
    events: EventQueue
    clock: Clock
    app_id: str
    claim_ms: int = 30 * SECOND

    def attempt(self, business_id: str, message_id: str) -> None:
        """Take one message as far as it goes now.

        Raises:
            RetryLater: it is certainly not sent, and still may be.
        """
        now = self.clock()
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
                self._send(message, now)

    def _send(self, message: OutboundMessage, now: int) -> None:
        if now >= message.expires_at:
            failure = message.failure or Failure("expired", "waited too long in the queue")
            self._settle(message, NotSent(Failure("expired", failure.detail, failure.errcode)))
            return
        self._settle(message, self.sender.send(message))

    def _settle(self, message: OutboundMessage, outcome: Outcome) -> None:
        now = self.clock()
        settled = settle(message, outcome, now=now)
        self.store.finish(settled)
        if settled.status.settled:
            self.events.put(outcome_event(settled, self.app_id))
            return
        self._wait(settled, outcome, now)

    def _wait(self, message: OutboundMessage, outcome: Outcome, now: int) -> NoReturn:
        wait = outcome.wait if isinstance(outcome, NotSent) else None
        raise RetryLater(delay_ms(wait or Wait.SHORT, message.attempts, now))


def advisory_window(
    conversations: ConversationStore, store: OutboundStore, key: tuple[str, str], now: int
) -> Window:
    """The send window of (business id, openid) at `now`, by our own count."""
    business_id, openid = key
    conversation = conversations.get(business_id, openid) or Conversation(business_id, openid)
    since = min(filter(None, (conversation.messaged_at, conversation.entered_at)), default=now)
    sent = store.sent_at(business_id, openid, since=since, limit=10)
    return window(conversation, sent, now)
