"""One outbound message, from accepted to settled.

    accepted ─▶ queued ─▶ sending ─▶ sent | failed | unknown
                  ▲          │
                  └──────────┘ certainly not sent, will be tried again

WeChat's send has no id and no idempotency, so an attempt has three outcomes, and the third,
unknown, is a state of its own: it is never sent again silently. Source: design, section 5.3.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.event import Event, EventType, conversation_key


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
    """How long a transient refusal asks us to wait."""

    SHORT = "short"  # busy: back off from a second
    NEXT_MINUTE = "next_minute"  # a per-minute limit


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
    if request.idempotency_key is None:
        return uuid.uuid4().hex
    # The caller's key is a secret of nobody, but of any length and alphabet: a digest fits a key.
    text = f"{request.business_id}|{request.idempotency_key}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _digest(request: SendRequest) -> str:
    document = [request.openid, request.content, request.guarantee]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def settle(message: OutboundMessage, outcome: Outcome, *, now: int) -> OutboundMessage:
    """The message after an attempt (pure: the state machine's one transition function).

    A refusal that may pass goes back to `queued`, until the message is older than its limit; an
    unknown outcome does so only if the caller preferred a duplicate to a gap.
    """
    match outcome:
        case Sent():
            return replace(message, status=Status.SENT, settled_at=now, failure=None)
        case NotSent(failure, wait):
            if wait is None:
                return replace(message, status=Status.FAILED, settled_at=now, failure=failure)
            return _again(message, failure, now)
        case Unknown(failure):
            if message.guarantee is Guarantee.AT_LEAST_ONCE:
                return _again(message, failure, now)
            return replace(message, status=Status.UNKNOWN, settled_at=now, failure=failure)


def _again(message: OutboundMessage, failure: Failure, now: int) -> OutboundMessage:
    if now < message.expires_at:
        return replace(message, status=Status.QUEUED, claimed_until=0, failure=failure)
    expired = replace(failure, code="expired", detail=f"gave up by age; last: {failure.detail}")
    return replace(message, status=Status.FAILED, settled_at=now, failure=expired)


def delay_ms(wait: Wait, attempts: int, now: int) -> int:
    """How long to leave the conversation alone before the next attempt."""
    if wait is Wait.NEXT_MINUTE:
        return MINUTE - now % MINUTE + SECOND
    return min(1 << max(0, attempts - 1), 60) * SECOND


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

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        """One message."""

    def sent_at(self, business_id: str, openid: str, *, since: int, limit: int) -> list[int]:
        """When the latest messages of a conversation were (perhaps) sent, `since` onwards."""


class MessageSender(Protocol):
    """The channel to the buyer. Never raises for what WeChat or the network does."""

    def send(self, message: OutboundMessage) -> Outcome: ...


class OutboundQueue(Protocol):
    """Puts a message in line behind the others of its conversation."""

    def put(self, message: OutboundMessage) -> None: ...


class EventQueue(Protocol):
    """Where events start their way to the subscribers."""

    def put(self, event: Event) -> None:
        """Returns only when the event is safe. Raises `UnavailableError` when it is not."""
