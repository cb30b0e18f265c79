"""What the messages domain needs from outside: stores, queues and the way to the buyer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from wechat_kf.domain.messages.conversations import Conversation
from wechat_kf.domain.messages.message import OutboundMessage, Outcome
from wechat_kf.domain.messages.transcript import TranscriptEntry
from wechat_kf.domain.paging import Page

if TYPE_CHECKING:
    from wechat_kf.domain.messages.broadcasts import Broadcast


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


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What an idempotency key stands for: one request, and the message it became.

    `key_id` is a digest of the caller's key, `request_digest` one of the request.
    """

    business_id: str
    key_id: str
    request_digest: str
    message_id: str


class OutboundStore(Protocol):
    """Where outbound messages live. Every method is one write at most."""

    def add(self, message: OutboundMessage) -> OutboundMessage:
        """Store a new message, or return the one that already has this id, unchanged."""

    def bind_key(self, binding: KeyBinding) -> KeyBinding:
        """Store a binding, or return the one that its key already has, unchanged."""

    def find_key(self, business_id: str, key_id: str) -> KeyBinding | None:
        """Return what a key stands for."""

    def claim(self, business_id: str, message_id: str, *, now: int, until: int) -> Claim:
        """accepted → sending, counted as an attempt, ours until `until`.

        A claim whose time ran out is taken over as ABANDONED (the attempt is not counted again).
        """

    def finish(self, message: OutboundMessage, *, published: bool = True) -> None:
        """Write what `settle` made of a message we hold; the content is dropped if not retained.

        A settled message stays in `due` until `mark_published` if it is not `published`. Raise
        `ConflictError` when somebody else holds it meanwhile.
        """

    def mark_published(self, message: OutboundMessage) -> None:
        """Take a settled message out of `due`: its outcome is published."""

    def reopen(self, message: OutboundMessage) -> bool:
        """failed or unknown → accepted, with `message`'s limits and as many attempts.

        False when it is not that message any more: not settled, settled as sent, or another attempt
        was made since `message` was read. It is `due` a minute later.
        """

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        """Return one message."""

    def get_many(self, business_id: str, message_ids: Sequence[str]) -> list[OutboundMessage]:
        """Return those of the named messages (100 at most) that exist, in any order."""

    def sent_at(self, business_id: str, openid: str, *, since: int) -> list[int]:
        """Return when the latest messages were (perhaps) sent, `since` onwards; 8 at most."""

    def list_unsettled(self, business_id: str, openid: str, *, limit: int) -> list[str]:
        """Return the ids of a conversation's unsettled messages, `limit` at most, in order.

        A little late at most.
        """


class SweeperStore(OutboundStore, Protocol):
    """The store as the sweeper sees it."""

    def list_due(self, *, now: int) -> Iterator[tuple[str, str]]:
        """Yield (business id, message id) of what should have settled by `now`, in any order.

        Unsettled for over a minute, or past the time that `postpone` set, or settled and not yet
        published; a little late at most.
        """

    def postpone(self, message: OutboundMessage, *, until: int) -> None:
        """Leave a waiting message out of `due` until `until`; it stays if it moved on meanwhile."""


class MessageSender(Protocol):
    """The way to the buyer. Never raises for what WeChat or the network does."""

    def send(self, message: OutboundMessage) -> Outcome: ...


class OutboundQueue(Protocol):
    """Puts a message in line behind the others of its conversation."""

    def put(self, message: OutboundMessage) -> None: ...


class BulkQueue(Protocol):
    """Queues the messages of broadcasts, apart from those of the conversations."""

    def put_all(self, messages: Iterable[OutboundMessage]) -> None:
        """Return only when all are queued; a repeat is harmless. Raise `UnavailableError`."""


class ConversationStore(Protocol):
    """Where conversations are kept. Both `record_` calls only ever move forward in time."""

    def record_message(self, business_id: str, openid: str, at_ms: int) -> None:
        """The buyer wrote at `at_ms`; an older or repeated report changes nothing."""

    def record_entry(self, business_id: str, openid: str, at_ms: int) -> None:
        """The buyer entered at `at_ms`; an older or repeated report changes nothing."""

    def get(self, business_id: str, openid: str, *, consistent: bool = True) -> Conversation | None:
        """Return the conversation, or None when the buyer never acted.

        A read that is not `consistent` costs half, and may miss the last second's changes.
        """

    def recent(self, business_id: str, *, limit: int, cursor: str | None) -> Page[Conversation]:
        """Return a merchant's conversations, the last active first (to the minute)."""


class KnownBuyers(Protocol):
    """The part of the conversations that broadcasts need."""

    def find_known(self, business_id: str, openids: Sequence[str]) -> set[str]:
        """Return those of the buyers (100 at most) who have a conversation."""


class TranscriptReader(Protocol):
    """Reads back what `Transcript.keep` and the sends left."""

    def transcript(
        self, business_id: str, openid: str, *, limit: int, cursor: str | None
    ) -> Page[TranscriptEntry]:
        """A conversation's messages, newest first."""


class BroadcastStore(Protocol):
    """Where accepted broadcasts live."""

    def add(self, broadcast: Broadcast) -> Broadcast:
        """Store a new broadcast, or return the one that already has this id, unchanged."""

    def get(self, business_id: str, broadcast_id: str) -> Broadcast | None:
        """One broadcast."""

    def finish(self, business_id: str, broadcast_id: str) -> None:
        """Note that every message is created: the text goes if texts are not retained."""


class BroadcastQueue(Protocol):
    """Queues accepted broadcasts for their expansion."""

    def put(self, broadcast: Broadcast) -> None:
        """Return when it is safe; a repeat is harmless. Raise `UnavailableError`."""
