"""The messages of all conversations: sent ones with their state, received ones for the record.

A conversation is a partition; its rows are sorted by time. A received message is written once, a
sent one three times: `add`, `claim`, `finish`. While it is unsettled it also stands in the sparse
index `unsettled`, where the sweeper finds what got stuck: one index write more at `add`, and one at
`finish`. Attribute names are short, because DynamoDB counts them with every item:

    c  conversation (partition)      n  attempts             h  claimed until
    s  position (sort key)           v  attempts before      k  claim id
    m  content                          the last retry       u  due at (index; unsettled only)
    t  status                        r  limited attempts     x  end of the item, in seconds
    e  age limit                     p  perhaps sent         a  settled at
    g  guarantee                     f  last failure         b  broadcast id

An idempotency key is one item of its own: `i` message id, `d` request digest.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
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
from wechat_kf.app_errors import ConflictError
from wechat_kf.domain.clock import DAY, MINUTE, Clock
from wechat_kf.domain.events import Event, conversation_key
from wechat_kf.domain.messages.message import Failure, Guarantee, OutboundMessage, Status
from wechat_kf.domain.messages.message_ids import (
    POSITION_LENGTH,
    MessageKey,
    message_id_at,
    message_key,
)
from wechat_kf.domain.messages.ports import Claim, Claimed, KeyBinding
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry
from wechat_kf.domain.paging import Page

RECORD_DAYS = 7
"""How long a sent message's state is kept when no message texts are (retention 0)."""

DUE_MS = MINUTE
"""What is unsettled for so long is looked at by the sweeper."""

LOOK_BACK = 8
"""How many of a conversation's latest messages `sent_at` reads: WeChat's allowance is five."""

_NEW = "attribute_not_exists(#c) OR #x <= :now"
"""DynamoDB removes expired items late; to us they are gone on time."""

_SETTLED = "#t IN (:sent, :failed, :unknown)"
_SETTLED_VALUES: dict[str, Value] = {
    ":sent": Status.SENT,
    ":failed": Status.FAILED,
    ":unknown": Status.UNKNOWN,
}
_ORDER = 20
"""Digits of WeChat's MsgId in a received message's position: it is a 64-bit number."""

_POSITION = re.compile(r"\d{13}[rs].*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Bid:
    """One try to claim a message, with a name of its own; instants are epoch milliseconds."""

    claim_id: str
    now: int
    until: int

    def values(self) -> dict[str, Value]:
        return {":until": self.until, ":claim_id": self.claim_id, ":sending": Status.SENDING}


class MessagesTable:
    """Implements `SweeperStore`, `Transcript` and `TranscriptReader`.

    With `retention_days` 0 received messages are not kept, and a sent message loses its content as
    soon as it is settled.
    """

    def __init__(self, client: Any, table_name: str, retention_days: int, clock: Clock) -> None:
        self._table = Table(client, table_name)
        self._retention_days = retention_days
        self._clock = clock

    # -- acceptance

    def add(self, message: OutboundMessage) -> OutboundMessage:
        """Store a new message, or return the one that already has this id, unchanged."""
        key = _key(message.business_id, message.message_id)
        if key is None:
            raise ValueError("not a message id")
        due = None if message.status.settled else self._clock() + DUE_MS
        old = self._add_new({**key, **_item(message), "u": due, "x": self._end(message)})
        return _message(old) if old else message

    def bind_key(self, binding: KeyBinding) -> KeyBinding:
        """Store a binding, or return the one that its key already has, unchanged."""
        place = message_key(binding.message_id)
        accepted_at = place.accepted_at if place else self._clock()
        old = self._add_new(
            {
                **_binding_key(binding.business_id, binding.key_id),
                "i": binding.message_id,
                "d": binding.request_digest,
                "x": self._kept_until(accepted_at) // 1000,
            }
        )
        return _binding(old, binding.business_id, binding.key_id) if old else binding

    def find_key(self, business_id: str, key_id: str) -> KeyBinding | None:
        """Return what a key stands for."""
        row = self._table.get(_binding_key(business_id, key_id))
        if row is None or self._is_over(row):
            return None
        return _binding(row, business_id, key_id)

    # -- attempts

    def claim(self, business_id: str, message_id: str, *, now: int, until: int) -> Claim:
        """accepted → sending, counted as an attempt, ours until `until`.

        A claim whose time ran out is taken over as ABANDONED (the attempt is not counted again).
        """
        key, bid = _key(business_id, message_id), _Bid(uuid.uuid4().hex[:12], now, until)
        if key is None:
            return Claim(Claimed.ABSENT, None)
        try:
            row = self._table.update(
                key,
                "SET #t = :sending, #n = #n + :one, #h = :until, #k = :claim_id",
                {":accepted": Status.ACCEPTED, ":one": 1, **bid.values()},
                condition="#t = :accepted",
            )
        except ConditionFailedError as failed:
            return self._claim_again(key, failed.old, bid)
        return Claim(Claimed.OURS, _message(row))

    def _claim_again(self, key: dict[str, str], row: Attributes | None, bid: _Bid) -> Claim:
        """Look at a message that does not wait for anybody."""
        if row is None:
            return Claim(Claimed.ABSENT, None)
        message = _message(row)
        if message.status.settled:
            return Claim(Claimed.SETTLED, message)
        if message.claim_id == bid.claim_id:
            # The answer to our own write was lost, and botocore wrote again.
            return Claim(Claimed.OURS, message)
        if bid.now < message.claimed_until:
            return Claim(Claimed.HELD, message)
        return self._take_over(key, message, bid)

    def _take_over(self, key: dict[str, str], seen: OutboundMessage, bid: _Bid) -> Claim:
        try:
            row = self._table.update(
                key,
                "SET #h = :until, #k = :claim_id",
                {":seen": seen.claim_id, **bid.values()},
                condition="#t = :sending AND #k = :seen",
            )
        except ConditionFailedError as failed:
            if failed.old is None:
                return Claim(Claimed.ABSENT, None)
            message = _message(failed.old)
            if message.status is Status.SENDING and message.claim_id == bid.claim_id:
                return Claim(Claimed.ABANDONED, message)  # our own write, repeated
            return Claim(Claimed.SETTLED if message.status.settled else Claimed.HELD, message)
        return Claim(Claimed.ABANDONED, _message(row))

    def finish(self, message: OutboundMessage, *, published: bool = True) -> None:
        """Write what `settle` made of a message we hold; repeating it changes nothing.

        A settled message stays in `due` until `mark_published` if it is not `published`.

        Raises:
            ConflictError: somebody took the message over.
        """
        written: dict[str, Value] = {
            "t": message.status,
            "n": message.attempts,
            "a": message.settled_at or None,
            "p": int(message.perhaps_sent) or None,
            "r": message.risky_attempts or None,
            "f": _failure_text(message.failure),
        }
        gone = ["h", *(name for name, value in written.items() if value is None)]
        if message.status.settled:
            gone += ["u"] if published else []
            gone += [] if self._retention_days else ["m"]
        kept = {name: value for name, value in written.items() if value is not None}
        changes = ", ".join(f"#{name} = :{name}" for name in kept)
        removed = ", ".join(f"#{name}" for name in gone)
        try:
            self._table.update(
                _known_key(message),
                f"SET {changes} REMOVE {removed}",
                {":claim_id": message.claim_id, **{f":{name}": kept[name] for name in kept}},
                condition="#k = :claim_id",
            )
        except ConditionFailedError:
            raise ConflictError("another worker has taken this message over") from None

    def reopen(self, message: OutboundMessage) -> bool:
        """failed or unknown → accepted, with `message`'s limits and as many attempts.

        Its record is kept until a day after that at least, so that it cannot vanish on its way.

        False when it is not that message any more: not settled, settled as sent, or another attempt
        was made since `message` was read. It is `due` a minute later.
        """
        end = max(self._kept_until(message.accepted_at), message.expires_at + DAY) // 1000
        try:
            self._table.update(
                _known_key(message),
                "SET #t = :accepted, #e = :expires_at, #v = :before, #u = :due, #x = :end"
                " REMOVE #a, #h, #k, #r",
                {
                    ":accepted": Status.ACCEPTED,
                    ":expires_at": message.expires_at,
                    ":attempts": message.attempts,
                    ":before": message.attempts_before,
                    ":due": self._clock() + DUE_MS,
                    ":end": end,
                    ":failed": Status.FAILED,
                    ":unknown": Status.UNKNOWN,
                },
                condition="#t IN (:failed, :unknown) AND #n = :attempts",
            )
        except ConditionFailedError as failed:
            # With our very limit it is our own write, whose answer was lost.
            return bool(failed.old and failed.old["e"] == message.expires_at)
        return True

    # -- reads

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        """Return one message, until the end of its retention."""
        key = _key(business_id, message_id)
        row = self._table.get(key) if key else None
        return None if row is None or self._is_over(row) else _message(row)

    def get_many(self, business_id: str, message_ids: Sequence[str]) -> list[OutboundMessage]:
        """Return those of the named messages (100 at most) that exist, in any order."""
        keys = [key for one in message_ids if (key := _key(business_id, one))]
        rows = self._table.get_many(keys) if keys else []
        return [_message(row) for row in rows if not self._is_over(row)]

    def sent_at(self, business_id: str, openid: str, *, since: int) -> list[int]:
        """Return when the latest messages were (perhaps) sent, `since` onwards; 8 at most.

        One consistent read of the latest rows: what was accepted a minute before `since` may have
        been sent after it.
        """
        rows, _ = self._table.query(
            Query(
                "#c = :c AND #s >= :from",
                {
                    ":c": conversation_key(business_id, openid),
                    ":from": f"{max(0, since - MINUTE):013d}",
                    ":sent": Status.SENT,
                    ":unknown": Status.UNKNOWN,
                    ":since": since,
                },
                limit=LOOK_BACK,
                newest_first=True,
                consistent=True,
                keep="#t IN (:sent, :unknown) AND #a >= :since",
                only=("a",),
            )
        )
        return [row["a"] for row in rows]

    def list_unsettled(self, business_id: str, openid: str, *, limit: int) -> list[str]:
        """Return the ids of a conversation's unsettled messages, `limit` at most, in order.

        A little late at most.
        """
        rows, _ = self._table.query(
            Query(
                "#c = :c",
                {":c": conversation_key(business_id, openid)},
                index="unsettled",
                limit=limit,
            )
        )
        return sorted(message_id_at(openid, row["s"]) for row in rows)

    # -- sweeper

    def list_due(self, *, now: int) -> Iterator[tuple[str, str]]:
        """Yield (business id, message id) of what should have settled by `now`, in any order."""
        start: Attributes | None = None
        while True:
            rows, start = self._table.scan(
                Query(
                    "",
                    {":now": now},
                    index="unsettled",
                    start=start,
                    keep="#u <= :now",
                    only=("c", "s"),
                )
            )
            for row in rows:
                business_id, _, openid = row["c"].partition("#")
                yield business_id, message_id_at(openid, row["s"])
            if start is None:
                return

    def postpone(self, message: OutboundMessage, *, until: int) -> None:
        """Leave a waiting message out of `due` until `until`; it stays if it moved on meanwhile."""
        self._change_if(
            message,
            "SET #u = :until",
            {":until": until, ":accepted": Status.ACCEPTED, ":e": message.expires_at},
            "#t = :accepted AND #e = :e",
        )

    def mark_published(self, message: OutboundMessage) -> None:
        """Take a settled message out of `due`: its outcome is published."""
        self._change_if(
            message,
            "REMOVE #u",
            {":e": message.expires_at, **_SETTLED_VALUES},
            f"{_SETTLED} AND #e = :e",
        )

    # -- transcript

    def keep(self, event: Event) -> None:
        """Keep a received message; the same event twice is kept once."""
        if not self._retention_days:
            return
        self._add_new(
            {
                "c": event.conversation,
                "s": _received_position(event),
                # The buyer's message, in the form that our own messages have.
                "m": to_text(dict(event.data.get("message", event.data))),
                "x": (event.at_ms + self._retention_days * DAY) // 1000,
            }
        )

    def transcript(
        self, business_id: str, openid: str, *, limit: int, cursor: str | None
    ) -> Page[TranscriptEntry]:
        """Return a conversation's messages, newest first.

        Raises InvalidRequestError for a cursor that is not ours.
        """
        conversation = conversation_key(business_id, openid)
        rows, end = self._table.query(
            Query(
                "#c = :c",
                {":c": conversation, ":now": self._clock() // 1000},
                limit=limit,
                start={"c": conversation, "s": _position_of(cursor)} if cursor else None,
                newest_first=True,
                consistent=True,
                keep="#x > :now",
            )
        )
        return Page([_entry(row) for row in rows], _next_cursor(end))

    # -- helpers

    def _add_new(self, item: dict[str, Value]) -> Attributes | None:
        """Write an item unless there is one; return the one that is there."""
        try:
            self._table.put(item, condition=_NEW, values={":now": self._clock() // 1000})
        except ConditionFailedError as failed:
            if failed.old is None:
                raise
            return failed.old
        return None

    def _change_if(
        self, message: OutboundMessage, change: str, values: dict[str, Value], condition: str
    ) -> None:
        try:
            self._table.update(_known_key(message), change, values, condition=condition)
        except ConditionFailedError:
            return

    def _end(self, message: OutboundMessage) -> int:
        return self._kept_until(message.accepted_at) // 1000

    def _kept_until(self, accepted_at: int) -> int:
        return accepted_at + (self._retention_days or RECORD_DAYS) * DAY

    def _is_over(self, row: Attributes) -> bool:
        return bool(row.get("x", 0) <= self._clock() // 1000)


def _key(business_id: str, message_id: str) -> dict[str, str] | None:
    """Return the row's key; None for what is not an id of ours."""
    key = message_key(message_id)
    return _row_key(business_id, key) if key else None


def _known_key(message: OutboundMessage) -> dict[str, str]:
    """Return the row's key of a message that was read from the table."""
    position = message.message_id[:POSITION_LENGTH]
    return _row_key(message.business_id, MessageKey(message.openid, position))


def _row_key(business_id: str, key: MessageKey) -> dict[str, str]:
    return {"c": conversation_key(business_id, key.openid), "s": key.position}


def _binding_key(business_id: str, key_id: str) -> dict[str, str]:
    return {"c": f"key#{business_id}#{key_id}", "s": "-"}  # no business id is `key`


def _binding(row: Attributes, business_id: str, key_id: str) -> KeyBinding:
    return KeyBinding(business_id, key_id, row["d"], row["i"])


def _received_position(event: Event) -> str:
    """Where a received message stands in its conversation, as a text that sorts.

    WeChat's CreateTime is in whole seconds; within one, its growing MsgId gives the order.
    """
    wechat_id = event.data.get("message_id") or ""
    plain = wechat_id.isascii() and wechat_id.isdecimal() and len(wechat_id) <= _ORDER
    return f"{event.at_ms:013d}r{wechat_id if plain else '':0>{_ORDER}}{event.id}"


def _item(message: OutboundMessage) -> dict[str, Value]:
    """The attributes of a message besides its key; what is not set is not stored."""
    at_least_once = message.guarantee is Guarantee.AT_LEAST_ONCE
    return {
        "m": to_text(dict(message.content)),
        "t": message.status,
        "n": message.attempts,
        "e": message.expires_at,
        "g": message.guarantee if at_least_once else None,
        "b": message.broadcast_id,
        "f": _failure_text(message.failure),
        "h": message.claimed_until or None,
        "k": message.claim_id or None,
        "a": message.settled_at or None,
        "p": int(message.perhaps_sent) or None,
        "r": message.risky_attempts or None,
        "v": message.attempts_before or None,
    }


def _message(row: Attributes) -> OutboundMessage:
    """Read a row; what an older version did not write has a default."""
    business_id, _, openid = row["c"].partition("#")
    failure = row.get("f")
    return OutboundMessage(
        business_id=business_id,
        openid=openid,
        content=_content(row),
        guarantee=Guarantee(row.get("g", Guarantee.AT_MOST_ONCE)),
        broadcast_id=row.get("b"),
        message_id=message_id_at(openid, row["s"]),
        accepted_at=int(row["s"][:13]),
        expires_at=row.get("e", 0),
        status=Status(row.get("t", Status.ACCEPTED)),
        attempts=row.get("n", 0),
        claimed_until=row.get("h", 0),
        settled_at=row.get("a", 0),
        failure=Failure(**from_text(failure)) if failure else None,
        perhaps_sent=bool(row.get("p")),
        risky_attempts=row.get("r", 0),
        attempts_before=row.get("v", 0),
        claim_id=row.get("k", ""),
    )


def _entry(row: Attributes) -> TranscriptEntry:
    position = row["s"]
    if position[13] == "r":
        event_id = position[14 + _ORDER :]
        return TranscriptEntry(event_id, Direction.RECEIVED, int(position[:13]), _content(row))
    message = _message(row)
    return TranscriptEntry(
        message.message_id,
        Direction.SENT,
        message.accepted_at,
        message.content,
        message.status,
    )


def _content(row: Attributes) -> dict[str, Any]:
    """The content, or nothing where it is not kept any more."""
    content: dict[str, Any] = from_text(row.get("m", "{}"))
    return content


def _failure_text(failure: Failure | None) -> str | None:
    if failure is None:
        return None
    known = {
        "code": failure.code,
        "detail": failure.detail,
        "errcode": failure.errcode,
        "rid": failure.rid,
    }
    return to_text({name: value for name, value in known.items() if value is not None})


def _position_of(text: str) -> str:
    position: str
    (position,) = cursor_parts(text, str)
    if not _POSITION.fullmatch(position):
        raise invalid_cursor()
    return position


def _next_cursor(end: Attributes | None) -> str | None:
    return cursor(end["s"]) if end else None
