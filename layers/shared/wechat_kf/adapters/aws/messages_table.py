"""All messages of all conversations: outbound ones with their state, received ones for the record.

A received message is written once. An outbound one is written at most four times on its way: `add`,
`mark_queued`, `claim`, `finish`. While it is on its way it also stands in the sparse index
`unsettled`, where the sweeper finds what got stuck.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    ConditionFailedError,
    Query,
    Table,
    Value,
    cursor,
    cursor_parts,
    invalid_cursor,
)
from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.clock import DAY, MINUTE, Clock
from wechat_kf.domain.events import Event, conversation_key
from wechat_kf.domain.messages.message import Failure, Guarantee, OutboundMessage, Status
from wechat_kf.domain.messages.ports import Claim, Claimed
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry
from wechat_kf.domain.paging import Page
from wechat_kf.errors import ConflictError

RECORD_DAYS = 7
"""How long an outbound message's state is kept when no message texts are (retention 0)."""

QUEUEING_MS = MINUTE
"""A message that was accepted this long ago and is still not queued never will be by itself."""

SHARDS = 8
"""Partitions of the index `unsettled`, so that one busy moment does not meet one partition."""

LOOK_BACK = 50
"""How many of a conversation's latest entries `sent_at` looks at."""

_NEW = "attribute_not_exists(#id) OR #expires_at_seconds <= :now"
"""DynamoDB removes expired items late; to us they are gone on time."""

_HOLD = "#claimed_until = :until, #due_at = :until, #claim_id = :claim_id"


@dataclass(frozen=True, slots=True)
class _Bid:
    """One try to claim a message, with a name of its own; instants are epoch milliseconds."""

    claim_id: str
    now: int
    until: int

    def values(self) -> dict[str, Value]:
        return {":until": self.until, ":claim_id": self.claim_id}


class MessagesTable:
    """Implements `OutboundStore`, `Transcript` and `TranscriptReader`.

    Key: `id`. Indexes: `by_conversation` (`conversation`, `position`) and `unsettled` (`unsettled`,
    `due_at`). With `retention_days` 0 received messages are not kept, and an outbound message loses
    its content as soon as it is settled.
    """

    def __init__(self, client: Any, table_name: str, retention_days: int, clock: Clock) -> None:
        self._table = Table(client, table_name)
        self._retention_days = retention_days
        self._clock = clock

    # -- outbound

    def add(self, message: OutboundMessage) -> OutboundMessage:
        """Store a new message, or return the one that already has this id, unchanged."""
        item = {**_item(message), "expires_at_seconds": self._kept_until(message) // 1000}
        try:
            self._table.put(item, condition=_NEW, values={":now": self._clock() // 1000})
        except ConditionFailedError as failed:
            if failed.old is None:
                raise
            return _message(failed.old)
        return message

    def mark_queued(self, business_id: str, message_id: str) -> None:
        """accepted → queued; anything else stays as it is."""
        try:
            self._table.update(
                _key(business_id, message_id),
                "SET #status = :queued, #due_at = #expires_at",
                {":queued": Status.QUEUED, ":accepted": Status.ACCEPTED},
                condition="#status = :accepted",
            )
        except ConditionFailedError:
            return

    def claim(self, business_id: str, message_id: str, *, now: int, until: int) -> Claim:
        """queued or accepted → sending, counted as an attempt, ours until `until`.

        A claim whose time ran out is taken over as ABANDONED (the attempt is not counted again).
        """
        key, bid = _key(business_id, message_id), _Bid(uuid.uuid4().hex, now, until)
        try:
            row = self._table.update(
                key,
                f"SET #status = :sending, #attempts = #attempts + :one, {_HOLD}",
                {
                    ":sending": Status.SENDING,
                    ":accepted": Status.ACCEPTED,
                    ":queued": Status.QUEUED,
                    ":one": 1,
                    **bid.values(),
                },
                condition="#status IN (:accepted, :queued)",
            )
        except ConditionFailedError as failed:
            return self._claim_again(key, failed.old, bid)
        return Claim(Claimed.OURS, _message(row))

    def _claim_again(self, key: dict[str, str], row: Attributes | None, bid: _Bid) -> Claim:
        """A claim of a message that waits for nobody."""
        if row is None:
            return Claim(Claimed.ABSENT, None)
        message = _message(row)
        if message.status.settled:
            return Claim(Claimed.SETTLED, message)
        if row.get("claim_id") == bid.claim_id:
            # The answer to our own write was lost, and botocore wrote again.
            return Claim(Claimed.OURS, message)
        if bid.now < message.claimed_until:
            return Claim(Claimed.HELD, message)
        return self._take_over(key, message, bid)

    def _take_over(self, key: dict[str, str], seen: OutboundMessage, bid: _Bid) -> Claim:
        try:
            row = self._table.update(
                key,
                f"SET {_HOLD}",
                {":sending": Status.SENDING, ":seen": seen.claimed_until, **bid.values()},
                condition="#status = :sending AND #claimed_until = :seen",
            )
        except ConditionFailedError as failed:
            if failed.old is None:
                return Claim(Claimed.ABSENT, None)
            message = _message(failed.old)
            return Claim(Claimed.SETTLED if message.status.settled else Claimed.HELD, message)
        return Claim(Claimed.ABANDONED, _message(row))

    def finish(self, message: OutboundMessage) -> None:
        """Write what `settle` made of a message we hold; repeating it changes nothing.

        Raises:
            ConflictError: somebody took the message over and recorded another outcome.
        """
        try:
            self._table.update(
                _key(message.business_id, message.message_id),
                _outcome(message, keep_content=self._retention_days > 0),
                {
                    ":status": message.status,
                    ":claimed_until": message.claimed_until,
                    ":settled_at": message.settled_at,
                    ":failure": _failure_text(message.failure),
                    ":sending": Status.SENDING,
                    ":attempts": message.attempts,
                    ":perhaps_sent": int(message.perhaps_sent),
                    ":risky_attempts": message.risky_attempts,
                },
                condition="#attempts = :attempts AND #status IN (:sending, :status)",
            )
        except ConditionFailedError:
            raise ConflictError("another worker has recorded this attempt's outcome") from None

    def reopen(self, message: OutboundMessage) -> bool:
        """failed or unknown → accepted, with `message`'s `expires_at` and as many attempts.

        Its record is kept until a day after that at least, so that it cannot vanish on its way.

        False when it is not that message any more: not settled, settled as sent, or another attempt
        was made since `message` was read. Its `overdue` time starts again.
        """
        key = _key(message.business_id, message.message_id)
        try:
            self._table.update(
                key,
                "SET #status = :accepted, #settled_at = :never, #claimed_until = :never,"
                " #risky_attempts = :never, #expires_at = :expires_at,"
                " #expires_at_seconds = :kept, #unsettled = :shard, #due_at = :due_at",
                {
                    ":accepted": Status.ACCEPTED,
                    ":never": 0,
                    ":expires_at": message.expires_at,
                    ":kept": max(self._kept_until(message), message.expires_at + DAY) // 1000,
                    ":shard": _shard(key["id"]),
                    ":due_at": self._clock() + QUEUEING_MS,
                    ":failed": Status.FAILED,
                    ":unknown": Status.UNKNOWN,
                    ":attempts": message.attempts,
                },
                condition="#status IN (:failed, :unknown) AND #attempts = :attempts",
            )
        except ConditionFailedError:
            return False
        return True

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        """One message, until the end of its retention."""
        row = self._table.get(_key(business_id, message_id))
        if row is None or "status" not in row or self._expired(row):
            return None  # the second: the id of a received message, which is not for callers
        return _message(row)

    def get_many(self, business_id: str, message_ids: Sequence[str]) -> list[OutboundMessage]:
        """Those of the named messages (100 at most) that exist, in any order."""
        rows = self._table.get_many([_key(business_id, message_id) for message_id in message_ids])
        return [_message(row) for row in rows if not self._expired(row)]

    def sent_at(self, business_id: str, openid: str, *, since: int, limit: int) -> list[int]:
        """When the latest messages of a conversation were (perhaps) sent, `since` onwards.

        One read: of a conversation's latest `LOOK_BACK` entries only, which is plenty for advice.
        """
        rows, _ = self._table.query(
            Query(
                "#conversation = :conversation",
                {
                    ":conversation": conversation_key(business_id, openid),
                    ":sent": Status.SENT,
                    ":unknown": Status.UNKNOWN,
                    ":since": since,
                },
                index="by_conversation",
                limit=LOOK_BACK,
                newest_first=True,
                keep="#status IN (:sent, :unknown) AND #settled_at >= :since",
                only=("settled_at",),
            )
        )
        return [row["settled_at"] for row in rows][:limit]

    def overdue(self, *, now: int, limit: int) -> list[tuple[str, str]]:
        """Messages that should have moved on by `now`: (business id, message id), for the sweeper.

        Accepted for more than a minute and not queued; queued beyond their age limit; sending
        beyond their claim. At most `limit` of each of the `SHARDS` shards, the oldest first.
        """
        found: list[tuple[str, str]] = []
        for shard in range(SHARDS):
            rows, _ = self._table.query(
                Query(
                    "#unsettled = :shard AND #due_at <= :now",
                    {":shard": str(shard), ":now": now},
                    index="unsettled",
                    limit=limit,
                    only=("id",),
                )
            )
            found += [_identity(row["id"]) for row in rows]
        return found

    # -- transcript

    def keep(self, event: Event) -> None:
        """Keep a received message; the same event twice is kept once."""
        if not self._retention_days:
            return
        item_id = f"{event.business_id}#in#{event.id}"
        item: dict[str, Value] = {
            "id": item_id,
            "conversation": event.conversation,
            "position": _position(event.at_ms, item_id, event.data.get("message_id")),
            "content": to_text(_message_content(event)),
            "expires_at_seconds": (event.at_ms + self._retention_days * DAY) // 1000,
        }
        try:
            self._table.put(item, condition=_NEW, values={":now": self._clock() // 1000})
        except ConditionFailedError:
            return

    def transcript(
        self, business_id: str, openid: str, *, limit: int, cursor: str | None
    ) -> Page[TranscriptEntry]:
        """A conversation's messages, newest first.

        Raises InvalidRequestError for a cursor that is not ours.
        """
        conversation = conversation_key(business_id, openid)
        rows, end = self._table.query(
            Query(
                "#conversation = :conversation",
                {":conversation": conversation, ":now": self._clock() // 1000},
                index="by_conversation",
                limit=limit,
                start=_start(conversation, cursor) if cursor else None,
                newest_first=True,
                keep="#expires_at_seconds > :now",
            )
        )
        return Page([_entry(row) for row in rows], _next_cursor(end))

    def _kept_until(self, message: OutboundMessage) -> int:
        return message.accepted_at + (self._retention_days or RECORD_DAYS) * DAY

    def _expired(self, row: Attributes) -> bool:
        return bool(row["expires_at_seconds"] <= self._clock() // 1000)


def _key(business_id: str, message_id: str) -> dict[str, str]:
    return {"id": f"{business_id}#{message_id}"}


def _identity(item_id: str) -> tuple[str, str]:
    business_id, _, message_id = item_id.partition("#")
    return business_id, message_id


def _position(at_ms: int, item_id: str, wechat_id: str | None = None) -> str:
    """Where an item stands in its conversation, as a text that sorts.

    WeChat's CreateTime is in whole seconds; within one, its growing MsgId gives the order.
    """
    order = wechat_id if wechat_id and wechat_id.isdecimal() else ""
    return f"{at_ms:013d}.{order:0>20}#{item_id}"


def _message_content(event: Event) -> dict[str, Any]:
    """The buyer's message, in the form that our own messages have."""
    return dict(event.data.get("message", event.data))


def _item(message: OutboundMessage) -> dict[str, Value]:
    item_id = _key(message.business_id, message.message_id)["id"]
    return {
        "id": item_id,
        "conversation": message.conversation,
        "position": _position(message.accepted_at, item_id),
        "content": to_text(dict(message.content)),
        "request_digest": message.request_digest,
        "accepted_at": message.accepted_at,
        "expires_at": message.expires_at,
        "guarantee": message.guarantee,
        "status": message.status,
        "attempts": message.attempts,
        "claimed_until": message.claimed_until,
        "settled_at": message.settled_at,
        "failure": _failure_text(message.failure),
        "broadcast_id": message.broadcast_id,
        "perhaps_sent": int(message.perhaps_sent),
        "risky_attempts": message.risky_attempts,
        "unsettled": _shard(item_id),
        "due_at": message.accepted_at + QUEUEING_MS,
    }


def _outcome(message: OutboundMessage, *, keep_content: bool) -> str:
    """The change that records what became of an attempt."""
    written = ["status", "claimed_until", "settled_at", "perhaps_sent", "risky_attempts"]
    removed = ["claim_id"]
    (written if message.failure else removed).append("failure")
    change = "SET " + ", ".join(f"#{name} = :{name}" for name in written)
    if not message.status.settled:
        change += ", #due_at = #expires_at"
    else:
        removed += ["unsettled", "due_at"] if keep_content else ["unsettled", "due_at", "content"]
    return f"{change} REMOVE " + ", ".join(f"#{name}" for name in removed)


def _shard(item_id: str) -> str:
    return str(zlib.crc32(item_id.encode()) % SHARDS)


def _message(row: Attributes) -> OutboundMessage:
    business_id, message_id = _identity(row["id"])
    failure = row.get("failure")
    return OutboundMessage(
        message_id=message_id,
        business_id=business_id,
        openid=row["conversation"].partition("#")[2],
        content=_content(row),
        request_digest=row["request_digest"],
        accepted_at=row["accepted_at"],
        expires_at=row["expires_at"],
        guarantee=Guarantee(row["guarantee"]),
        status=Status(row["status"]),
        attempts=row["attempts"],
        claimed_until=row["claimed_until"],
        settled_at=row["settled_at"],
        failure=Failure(**from_text(failure)) if failure else None,
        broadcast_id=row.get("broadcast_id"),
        perhaps_sent=bool(row["perhaps_sent"]),
        risky_attempts=row["risky_attempts"],
    )


def _entry(row: Attributes) -> TranscriptEntry:
    at_ms = int(row["position"].partition(".")[0])
    if "status" in row:
        _, message_id = _identity(row["id"])
        return TranscriptEntry(
            message_id, Direction.SENT, at_ms, _content(row), Status(row["status"])
        )
    return TranscriptEntry(row["id"].split("#", 2)[2], Direction.RECEIVED, at_ms, _content(row))


def _content(row: Attributes) -> dict[str, Any]:
    """The content, or nothing where it is not kept any more."""
    content: dict[str, Any] = from_text(row.get("content", "{}"))
    return content


def _failure_text(failure: Failure | None) -> str | None:
    if failure is None:
        return None
    return to_text(
        {
            "code": failure.code,
            "detail": failure.detail,
            "errcode": failure.errcode,
            "rid": failure.rid,
        }
    )


def _start(conversation: str, text: str) -> dict[str, str]:
    business_id = conversation.partition("#")[0]
    (position,) = cursor_parts(text, str)
    item_id = position.partition("#")[2]
    if not item_id.startswith(f"{business_id}#"):
        raise invalid_cursor()
    return {"id": item_id, "conversation": conversation, "position": position}


def _next_cursor(end: Attributes | None) -> str | None:
    return cursor(end["position"]) if end else None
