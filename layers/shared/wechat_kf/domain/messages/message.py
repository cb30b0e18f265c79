"""One outbound message, from accepted to settled.

    accepted ─▶ sending ─▶ sent | failed | unknown
        ▲          │
        └──────────┘ certainly not sent, will be tried again

WeChat's send has no id and no idempotency, so an attempt has three outcomes, and the third,
unknown, is a state of its own: it is never sent again silently (docs/sending.md).
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType, conversation_key
from wechat_kf.domain.messages.message_ids import new_message_id


class Status(StrEnum):
    """Where a message stands. The last three are final, until a caller asks for a retry."""

    ACCEPTED = "accepted"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def settled(self) -> bool:
        return self in (Status.SENT, Status.FAILED, Status.UNKNOWN)


class Guarantee(StrEnum):
    """What the caller prefers when an outcome is unknown: a gap, or a duplicate."""

    AT_MOST_ONCE = "at_most_once"
    AT_LEAST_ONCE = "at_least_once"


class Wait(StrEnum):
    """Why the next attempt has to wait: decides for how long and how often."""

    SHORT = "short"  # certainly not sent (unreachable, no token): back off from a second
    TOKEN = "token"  # noqa: S105 - the token was refused: a few times, it may be this message's fault
    RISKY = "risky"  # likely not sent, but not surely: every further attempt risks a duplicate
    NEXT_MINUTE = "next_minute"  # a per-minute limit
    QUOTA = "quota"  # the daily quota: until an operator resets it, or the day is over


RISKY_DELAYS = (1 * SECOND, 2 * SECOND, 30 * SECOND, 2 * MINUTE)
"""The pauses before the second, third, … attempt where their number is limited: few on purpose, and
spread wide enough to bridge a short incident (docs/wechat-api.md, section 14, row −1)."""

LONGEST_SHORT_DELAY = MINUTE
QUOTA_DELAY = 2 * MINUTE
SPREAD = 10 * SECOND
"""After a limit of the whole account the conversations come back spread over this long."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message was not, or may not have been, sent. `code` is stable, the rest is WeChat's."""

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
    """A message and its state. Instants are epoch milliseconds; `content` has a `type`.

    The first five members are what a caller asks for; `accept` adds the rest.
    """

    business_id: str
    openid: str
    content: Mapping[str, Any]
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    broadcast_id: str | None = None
    message_id: str = ""
    accepted_at: int = 0
    expires_at: int = 0
    status: Status = Status.ACCEPTED
    attempts: int = 0
    claimed_until: int = 0
    settled_at: int = 0
    failure: Failure | None = None
    perhaps_sent: bool = False
    """An earlier attempt's outcome is unknown: whatever comes, we cannot say it was not sent."""
    risky_attempts: int = 0
    """Of the attempts since the last retry, those whose number is limited."""
    attempts_before: int = 0
    """How many attempts had been made when a caller last asked for a retry."""
    claim_id: str = field(default="", compare=False, repr=False)
    """Names the claim that holds the message: only its holder may record an outcome."""

    @property
    def conversation(self) -> str:
        return conversation_key(self.business_id, self.openid)


def accept(draft: OutboundMessage, *, now: int, max_age_ms: int) -> OutboundMessage:
    """Give a draft its limits, and its id unless it has one already."""
    if not draft.message_id:
        message_id = new_message_id(draft.openid, now)
        draft = replace(draft, message_id=message_id, accepted_at=now)
    return replace(draft, expires_at=now + max_age_ms)


def request_id(business_id: str, idempotency_key: str | None) -> str:
    """Return a new id, or with an idempotency key always the same one (32 hex digits)."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    # The caller's key is of any length and alphabet: a digest fits everywhere.
    return hashlib.sha256(f"{business_id}|{idempotency_key}".encode()).hexdigest()[:32]


def request_digest(draft: OutboundMessage) -> str:
    """Return a digest of what the caller asked for: another body has another one."""
    document = [draft.openid, draft.content, draft.guarantee]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def settle(message: OutboundMessage, outcome: Outcome, *, now: int) -> OutboundMessage:
    """Return the message after an attempt: the one transition of the state machine.

    A refusal that may pass goes back to `accepted`, until the message is older than its limit; an
    unknown outcome does so only if the caller preferred a duplicate to a gap. A message that was
    perhaps sent once never ends as `failed`, which would promise the contrary.
    """
    match outcome:
        case Sent():
            return _end(message, Status.SENT, None, now)
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
    if wait in _LIMITED:
        message = replace(message, risky_attempts=message.risky_attempts + 1)
        if message.risky_attempts > len(RISKY_DELAYS) and not _is_patient(message, wait):
            return _give_up(message, failure, now)
    return replace(message, status=Status.ACCEPTED, claimed_until=0, failure=failure)


_LIMITED = (Wait.RISKY, Wait.TOKEN)


def _is_patient(message: OutboundMessage, wait: Wait) -> bool:
    """Return whether to wait out a busy WeChat: the caller prefers duplicates to a gap."""
    busy = wait is Wait.RISKY and not message.perhaps_sent
    return busy and message.guarantee is Guarantee.AT_LEAST_ONCE


def _give_up(message: OutboundMessage, failure: Failure, now: int) -> OutboundMessage:
    status = Status.UNKNOWN if message.perhaps_sent else Status.FAILED
    return _end(message, status, failure, now)


def _end(
    message: OutboundMessage, status: Status, failure: Failure | None, now: int
) -> OutboundMessage:
    return replace(message, status=status, settled_at=now, claimed_until=0, failure=failure)


def _expired(last: Failure) -> Failure:
    """Return the failure of a message given up by age, with WeChat's last answer."""
    if last.code == EXPIRED:
        return last
    return replace(last, code=EXPIRED, detail=f"gave up by age; last: {last.detail}")


def too_late(message: OutboundMessage) -> NotSent:
    """Return the outcome of a message that passed its age limit before the next attempt."""
    if message.failure:
        return NotSent(_expired(message.failure))
    return NotSent(Failure(EXPIRED, "gave up by age, without an attempt"))


EXPIRED = "expired"


def delay_ms(wait: Wait, message: OutboundMessage, now: int) -> int:
    """Return the pause before the next attempt.

    A limit of the whole account adds up to ten seconds that differ from conversation to
    conversation, so that not all come back in the same second.
    """
    match wait:
        case Wait.SHORT:
            attempts = message.attempts - message.attempts_before
            return min(SECOND << min(max(1, attempts) - 1, 10), LONGEST_SHORT_DELAY)
        case Wait.RISKY | Wait.TOKEN:
            return RISKY_DELAYS[min(message.risky_attempts, len(RISKY_DELAYS)) - 1]
        case Wait.NEXT_MINUTE | Wait.QUOTA:
            return pause_ms(wait, now) + zlib.crc32(message.conversation.encode()) % SPREAD


def pause_ms(wait: Wait, now: int) -> int:
    """Return how long a limit of the whole account lasts; 0 when `wait` is not one."""
    match wait:
        case Wait.NEXT_MINUTE:
            return MINUTE - now % MINUTE + SECOND
        case Wait.QUOTA:
            return QUOTA_DELAY
        case _:
            return 0


def outcome_event(message: OutboundMessage, app_id: str) -> Event:
    """Return the event of a settled message. The same outcome has the same event id."""
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
    # Another retry has another `expires_at`, and so another event.
    outcome = f"{message.status}|{message.attempts}|{message.expires_at}"
    text = f"{message.business_id}|{message.message_id}|{outcome}"
    return Event(
        id=hashlib.sha256(text.encode()).hexdigest(),
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
    """Return a failure as callers and subscribers see it."""
    document: dict[str, Any] = {"code": failure.code, "detail": failure.detail}
    if failure.errcode is not None:
        document["errcode"] = failure.errcode
    if failure.rid is not None:
        document["rid"] = failure.rid
    return document
