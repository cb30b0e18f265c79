"""One outbound message, from accepted to settled.

    accepted ─▶ queued ─▶ sending ─▶ sent | failed | unknown
                  ▲          │
                  └──────────┘ certainly not sent, will be tried again

WeChat's send has no id and no idempotency, so an attempt has three outcomes, and the third,
unknown, is a state of its own: it is never sent again silently. See docs/sending.md.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType, conversation_key


class Status(StrEnum):
    """Where a message stands. The last three are final, until a caller asks for a retry."""

    ACCEPTED = "accepted"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def settled(self) -> bool:
        return self in (Status.SENT, Status.FAILED, Status.UNKNOWN)


class Guarantee(StrEnum):
    """What the caller prefers when an attempt's outcome is unknown: a gap, or a duplicate."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


class Wait(StrEnum):
    """Why another attempt has to wait, which decides for how long and how often."""

    SHORT = "short"  # certainly not sent (unreachable, no token): back off from a second
    RISKY = "risky"  # likely not sent, but not surely: every further attempt risks a duplicate
    NEXT_MINUTE = "next_minute"  # a per-minute limit
    QUOTA = "quota"  # the daily quota: until an operator resets it, or the day is over

    @property
    def concerns_all(self) -> bool:
        """A limit of the whole account: other messages would meet it too."""
        return self in (Wait.NEXT_MINUTE, Wait.QUOTA)


RISKY_DELAYS = (1 * SECOND, 2 * SECOND, 30 * SECOND, 2 * MINUTE)
"""The pauses before the second, third, … attempt, where an attempt may duplicate: few on purpose,
and spread wide enough to bridge a short incident (docs/wechat-api.md, section 14, row −1)."""

LONGEST_SHORT_DELAY = MINUTE
QUOTA_DELAY = 2 * MINUTE
SPREAD = 10 * SECOND
"""After a limit of the whole account the conversations come back spread over this long."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not, or may not have been, sent. `code` is stable, the rest WeChat's."""

    code: str
    detail: str
    errcode: int | None = None
    rid: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """WeChat said yes."""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Certainly not delivered. `wait` is None when no later attempt can succeed."""

    failure: Failure
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Perhaps delivered: the connection broke after the message may have gone out."""

    failure: Failure


Outcome = Sent | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message and its state. Instants are epoch milliseconds; `content` has a `type`."""

    message_id: str
    business_id: str
    openid: str
    content: Mapping[str, Any]
    request_digest: str
    accepted_at: int
    expires_at: int
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    status: Status = Status.ACCEPTED
    attempts: int = 0
    claimed_until: int = 0
    settled_at: int = 0
    failure: Failure | None = None
    broadcast_id: str | None = None
    perhaps_sent: bool = False
    """An earlier attempt's outcome is unknown: whatever comes, we cannot say it was not sent."""
    risky_attempts: int = 0
    """Of the attempts, those that may have reached the buyer although they did not succeed."""

    @property
    def conversation(self) -> str:
        return conversation_key(self.business_id, self.openid)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What a caller asks for. `idempotency_key` None: every call is a new message."""

    business_id: str
    openid: str
    content: Mapping[str, Any]
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    idempotency_key: str | None = None
    broadcast_id: str | None = None


def accept(request: SendRequest, *, now: int, max_age_ms: int) -> OutboundMessage:
    """The message a request becomes. With an idempotency key its id is a function of the key."""
    return OutboundMessage(
        message_id=_message_id(request),
        business_id=request.business_id,
        openid=request.openid,
        content=request.content,
        request_digest=_digest(request),
        accepted_at=now,
        expires_at=now + max_age_ms,
        guarantee=request.guarantee,
        broadcast_id=request.broadcast_id,
    )


def _message_id(request: SendRequest) -> str:
    if request.broadcast_id is not None:
        return recipient_message_id(request.business_id, request.broadcast_id, request.openid)
    return request_id(request.business_id, request.idempotency_key)


def request_id(business_id: str, idempotency_key: str | None) -> str:
    """A new id, or with an idempotency key always the same one: 32 hexadecimal digits."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    # The caller's key is of any length and alphabet: a digest fits everywhere.
    return _short_digest(f"{business_id}|{idempotency_key}")


def recipient_message_id(business_id: str, broadcast_id: str, openid: str) -> str:
    """The id of a broadcast's message to one recipient: expanding twice finds the same message."""
    return _short_digest(f"{business_id}|{broadcast_id}\n{openid}")  # no header holds a line break


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digest(request: SendRequest) -> str:
    document = [request.openid, request.content, request.guarantee]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def settle(message: OutboundMessage, outcome: Outcome, *, now: int) -> OutboundMessage:
    """The message after an attempt (pure: the state machine's one transition function).

    A refusal that may pass goes back to `queued`, until the message is older than its limit; an
    unknown outcome does so only if the caller preferred a duplicate to a gap. A message that was
    perhaps sent once never ends as `failed`, which would promise the contrary.
    """
    match outcome:
        case Sent():
            return replace(message, status=Status.SENT, settled_at=now, failure=None)
        case NotSent(failure, wait):
            if wait is None:
                return _give_up(message, failure, now)
            return _again(message, failure, wait, now)
        case Unknown(failure):
            doubtful = replace(message, perhaps_sent=True)
            if message.guarantee is Guarantee.AT_LEAST_ONCE:
                return _again(doubtful, failure, Wait.RISKY, now)
            return _give_up(doubtful, failure, now)


def _again(message: OutboundMessage, failure: Failure, wait: Wait, now: int) -> OutboundMessage:
    if now >= message.expires_at:
        return _give_up(message, _expired(failure), now)
    if wait is Wait.RISKY:
        message = replace(message, risky_attempts=message.risky_attempts + 1)
        if message.risky_attempts > len(RISKY_DELAYS):
            return _give_up(message, failure, now)
    return replace(message, status=Status.QUEUED, claimed_until=0, failure=failure)


def _give_up(message: OutboundMessage, failure: Failure, now: int) -> OutboundMessage:
    status = Status.UNKNOWN if message.perhaps_sent else Status.FAILED
    return replace(message, status=status, settled_at=now, failure=failure)


def _expired(last: Failure) -> Failure:
    """Given up by age; WeChat's last word stays for whoever asks why."""
    return replace(last, code=EXPIRED, detail=f"gave up by age; last: {last.detail}")


def too_late(message: OutboundMessage) -> NotSent:
    """What becomes of a message that is older than its limit before it could be attempted again."""
    if message.failure:
        return NotSent(_expired(message.failure))
    return NotSent(Failure(EXPIRED, "gave up by age, without an attempt"))


EXPIRED = "expired"


def delay_ms(wait: Wait, message: OutboundMessage, now: int) -> int:
    """How long to leave the conversation alone before the next attempt.

    A limit of the whole account adds up to ten seconds that differ from conversation to
    conversation, so that not all come back in the same second.
    """
    match wait:
        case Wait.SHORT:
            return min(SECOND << min(max(1, message.attempts) - 1, 10), LONGEST_SHORT_DELAY)
        case Wait.RISKY:
            return RISKY_DELAYS[message.risky_attempts - 1]
        case Wait.NEXT_MINUTE | Wait.QUOTA:
            return pause_ms(wait, now) + zlib.crc32(message.conversation.encode()) % SPREAD


def pause_ms(wait: Wait, now: int) -> int:
    """How long a limit of the whole account lasts: 0 when `wait` is none."""
    match wait:
        case Wait.NEXT_MINUTE:
            return MINUTE - now % MINUTE + SECOND
        case Wait.QUOTA:
            return QUOTA_DELAY
        case _:
            return 0


def outcome_event(message: OutboundMessage, app_id: str) -> Event:
    """What subscribers are told about a settled message. The same outcome has the same event id."""
    data: dict[str, Any] = {
        "message_id": message.message_id,
        "business_id": message.business_id,
        "openid": message.openid,
        "status": str(message.status),
        "attempts": message.attempts,
    }
    if message.broadcast_id:
        data["broadcast_id"] = message.broadcast_id
    if message.failure:
        data["error"] = failure_document(message.failure)
    return Event(
        id=hashlib.sha256(
            f"{message.business_id}|{message.message_id}|{message.status}|{message.attempts}".encode()
        ).hexdigest(),
        type=_OUTCOME_TYPES[message.status],
        app_id=app_id,
        business_id=message.business_id,
        openid=message.openid,
        at_ms=message.settled_at,
        data=data,
    )


_OUTCOME_TYPES = {
    Status.SENT: EventType.MESSAGE_SENT,
    Status.FAILED: EventType.MESSAGE_FAILED,
    Status.UNKNOWN: EventType.MESSAGE_UNKNOWN,
}


def failure_document(failure: Failure) -> dict[str, Any]:
    """A failure as callers and subscribers see it."""
    document: dict[str, Any] = {"code": failure.code, "detail": failure.detail}
    if failure.errcode is not None:
        document["errcode"] = failure.errcode
    if failure.rid is not None:
        document["rid"] = failure.rid
    return document


class Claimed(StrEnum):
    """What a claim found."""

    OURS = "ours"  # we hold it: send
    HELD = "held"  # somebody else holds it: come back
    ABANDONED = "abandoned"  # its holder vanished while sending: outcome unknown, now ours
    SETTLED = "settled"  # nothing to do
    ABSENT = "absent"  # no such message


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to `OutboundStore.claim`; `message` is the state after it (None when absent)."""

    result: Claimed
    message: OutboundMessage | None


class OutboundStore(Protocol):
    """Where outbound messages live. Every method is one write at most."""

    def add(self, message: OutboundMessage) -> OutboundMessage:
        """Store a new message, or return the one that already has this id, unchanged."""

    def mark_queued(self, business_id: str, message_id: str) -> None:
        """accepted → queued; anything else stays as it is."""

    def claim(self, business_id: str, message_id: str, *, now: int, until: int) -> Claim:
        """queued or accepted → sending, counted as an attempt, ours until `until`.

        A claim whose time ran out is taken over as ABANDONED (the attempt is not counted again).
        """

    def finish(self, message: OutboundMessage) -> None:
        """Write what `settle` made of a message we hold; the content is dropped if not retained."""

    def reopen(self, message: OutboundMessage) -> bool:
        """failed or unknown → accepted, with `message`'s `expires_at` and as many attempts.

        False when it is not that message any more: not settled, settled as sent, or another attempt
        was made since `message` was read. Its `overdue` time starts anew.
        """

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        """One message."""

    def get_many(self, business_id: str, message_ids: Sequence[str]) -> list[OutboundMessage]:
        """Those of the named messages (100 at most) that exist, in any order."""

    def sent_at(self, business_id: str, openid: str, *, since: int, limit: int) -> list[int]:
        """When the latest messages of a conversation were (perhaps) sent, `since` onwards."""


class OverdueStore(OutboundStore, Protocol):
    """The store as the sweeper sees it."""

    def overdue(self, *, now: int, limit: int) -> list[tuple[str, str]]:
        """Messages that should have moved on: (business id, message id), a little late at most."""


class MessageSender(Protocol):
    """The channel to the buyer. Never raises for what WeChat or the network does."""

    def send(self, message: OutboundMessage) -> Outcome: ...


class OutboundQueue(Protocol):
    """Puts a message in line behind the others of its conversation."""

    def put(self, message: OutboundMessage) -> None: ...
