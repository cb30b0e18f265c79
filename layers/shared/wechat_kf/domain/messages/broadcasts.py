"""One message to many buyers: accepted once, expanded into one outbound message each.

Message ids derive from the broadcast's id, so that expanding twice, or from the middle on, changes
nothing. Progress is read from the messages themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wechat_kf.app_errors import IdempotencyKeyReusedError, InvalidRequestError, NotFoundError
from wechat_kf.domain.clock import Clock
from wechat_kf.domain.messages.message import Guarantee, OutboundMessage, request_id
from wechat_kf.domain.messages.message_ids import new_message_id
from wechat_kf.domain.messages.ports import BroadcastStore, OutboundStore
from wechat_kf.domain.paging import Page

MAX_RECIPIENTS = 1_000
PENDING = "pending"
"""The status of a recipient whose message has not been created yet."""

_READ_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class BroadcastRequest:
    """A caller's request. `idempotency_key` None: every call is a new broadcast."""

    business_id: str
    openids: Sequence[str]
    content: Mapping[str, Any]
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Broadcast:
    """An accepted broadcast; `openids` are distinct, `duplicates` says how many were dropped."""

    broadcast_id: str
    business_id: str
    openids: tuple[str, ...]
    content: Mapping[str, Any]
    request_digest: str
    accepted_at: int
    guarantee: Guarantee = Guarantee.AT_MOST_ONCE
    duplicates: int = 0


def recipient_message_id(broadcast: Broadcast, openid: str) -> str:
    """Return the id of the message to one recipient; it is the same at each expansion."""
    unique = hashlib.sha256(broadcast.broadcast_id.encode()).hexdigest()
    return new_message_id(openid, broadcast.accepted_at, unique)


@dataclass(frozen=True, slots=True)
class Recipient:
    """The message to one recipient; None: not created yet."""

    openid: str
    message_id: str
    message: OutboundMessage | None


def accept_broadcast(request: BroadcastRequest, *, now: int) -> Broadcast:
    """Return the broadcast of a request.

    Raises:
        InvalidRequestError: there are no recipients, or more than a thousand different ones.
    """
    openids = tuple(dict.fromkeys(request.openids))
    if not 1 <= len(openids) <= MAX_RECIPIENTS:
        raise InvalidRequestError("openids", f"must name 1 to {MAX_RECIPIENTS} recipients")
    document = [openids, request.content, request.guarantee]
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return Broadcast(
        broadcast_id=request_id(request.business_id, request.idempotency_key),
        business_id=request.business_id,
        openids=openids,
        content=request.content,
        request_digest=hashlib.sha256(text.encode()).hexdigest(),
        accepted_at=now,
        guarantee=request.guarantee,
        duplicates=len(request.openids) - len(openids),
    )


@dataclass(frozen=True, slots=True)
class Broadcasts:
    """Accepts broadcasts and reports their progress."""

    store: BroadcastStore
    messages: OutboundStore
    clock: Clock

    def accept(self, request: BroadcastRequest) -> Broadcast:
        """Store a broadcast; the same idempotency key answers with the same broadcast.

        Raises:
            InvalidRequestError: see `accept_broadcast`.
            IdempotencyKeyReusedError: the key came with another body before.
        """
        new = accept_broadcast(request, now=self.clock())
        stored = self.store.add(new)
        if stored.request_digest != new.request_digest:
            raise IdempotencyKeyReusedError("this key was used before with another broadcast")
        return stored

    def get(self, business_id: str, broadcast_id: str) -> Broadcast:
        """Return one broadcast. Raise `NotFoundError`."""
        broadcast = self.store.get(business_id, broadcast_id)
        if broadcast is None:
            raise NotFoundError("no such broadcast")
        return broadcast

    def progress(self, broadcast: Broadcast) -> Counter[str]:
        """Count the recipients by message status, and `pending`."""
        return Counter(
            recipient.message.status if recipient.message else PENDING
            for start in range(0, len(broadcast.openids), _READ_AT_ONCE)
            for recipient in self._look_up(broadcast, start, _READ_AT_ONCE)
        )

    def recipients(self, broadcast: Broadcast, *, start: int, limit: int) -> Page[Recipient]:
        """Return recipients from number `start` (0 and up) on, `limit` (1 to 100) at most.

        In the order of the request; the page's cursor is the number of the next one.
        """
        page = list(self._look_up(broadcast, start, limit))
        end = start + limit
        return Page(page, str(end) if end < len(broadcast.openids) else None)

    def _look_up(self, broadcast: Broadcast, start: int, limit: int) -> Iterator[Recipient]:
        ids = {
            openid: recipient_message_id(broadcast, openid)
            for openid in broadcast.openids[start : start + limit]
        }
        found = self.messages.get_many(broadcast.business_id, list(ids.values()))
        by_id = {message.message_id: message for message in found}
        for openid, message_id in ids.items():
            yield Recipient(openid, message_id, by_id.get(message_id))
