"""Accept a message for sending, and retry a settled one on the caller's request.

Stored is accepted: once a message is stored, it will be sent, and the caller is answered so. When
the queue does not take it, the sweeper queues it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from wechat_kf.app_errors import (
    AppError,
    ConflictError,
    IdempotencyKeyReusedError,
    NotFoundError,
    UnavailableError,
)
from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.messages.message import (
    OutboundMessage,
    Status,
    accept,
    request_digest,
    request_id,
)
from wechat_kf.domain.messages.message_ids import message_key
from wechat_kf.domain.messages.ports import KeyBinding, OutboundQueue, OutboundStore
from wechat_kf.domain.messages.windows import MOST_UNSETTLED, ConversationFullError


class AcceptanceUncertainError(UnavailableError):
    """The message may or may not be stored: reading `message_id` shows which."""

    code = "acceptance_uncertain"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepts messages: one conditional write, then the queue.

    `report_not_queued` gets what the queue did not take, with the error.
    """

    store: OutboundStore
    queue: OutboundQueue
    clock: Clock
    max_age_ms: int
    report_not_queued: Callable[[OutboundMessage, Exception], None]

    def accept(
        self,
        draft: OutboundMessage,
        idempotency_key: str | None = None,
        refusal: AppError | None = None,
    ) -> OutboundMessage:
        """Store and queue a message; the same idempotency key answers with the same message.

        Args:
            draft: What the caller asks for.
            idempotency_key: None: every call is a new message.
            refusal: Why no new message may be accepted; one that was accepted before is returned.

        Raises:
            IdempotencyKeyReusedError: the key was used before with another body.
            AcceptanceUncertainError: the message may be stored; any other error: it is not.
        """
        new = accept(draft, now=self.clock(), max_age_ms=self.max_age_ms)
        if idempotency_key is not None:
            binding = self._bind(new, idempotency_key, refusal)
            if binding.message_id != new.message_id:
                known = self.store.get(new.business_id, binding.message_id)
                if known:
                    return self._enqueue_again(known)
                new = _at_its_place(new, binding.message_id)
        if refusal:
            raise refusal
        return self._enqueue(self._add(new))

    def retry(self, business_id: str, message_id: str) -> OutboundMessage:
        """Send a failed or unknown message again, within new limits and with its attempts kept.

        For an unknown one the caller accepts a duplicate by asking.

        Raises:
            NotFoundError: there is no such message.
            ConflictError: it is on its way or sent, or its content is no longer kept.
            ConversationFullError: too many messages of its conversation are unsettled.
        """
        message = self.get(business_id, message_id)
        if message.status is Status.ACCEPTED and message.attempts:
            return self._enqueue_again(message)  # an earlier retry: the caller repeats it
        if message.status not in (Status.FAILED, Status.UNKNOWN):
            raise _not_retriable(message)
        if not message.content:
            raise ConflictError("the message's content is no longer kept (retention 0)")
        unsettled = self.store.list_unsettled(business_id, message.openid, limit=MOST_UNSETTLED)
        if len(unsettled) >= MOST_UNSETTLED:
            raise ConversationFullError
        again = replace(
            message,
            status=Status.ACCEPTED,
            settled_at=0,
            claimed_until=0,
            risky_attempts=0,
            attempts_before=message.attempts,
            # Always another one: it identifies the round that begins here.
            expires_at=max(self.clock() + self.max_age_ms, message.expires_at + 1),
        )
        if not self.store.reopen(again):
            raise _not_retriable(self.get(business_id, message_id))
        return self._enqueue(again)

    def get(self, business_id: str, message_id: str) -> OutboundMessage:
        """Return one message. Raise `NotFoundError`."""
        message = self.store.get(business_id, message_id)
        if message is None:
            raise NotFoundError("no such message")
        return message

    def _bind(self, new: OutboundMessage, key: str, refusal: AppError | None) -> KeyBinding:
        """Return what the key stands for: `new`, or the message of an earlier call."""
        wanted = KeyBinding(
            new.business_id,
            request_id(new.business_id, key),
            request_digest(new),
            new.message_id,
        )
        if refusal:
            found = self.store.find_key(wanted.business_id, wanted.key_id)
            if found is None:
                raise refusal
        else:
            found = self.store.bind_key(wanted)
        if found.request_digest != wanted.request_digest:
            raise IdempotencyKeyReusedError(
                "this Idempotency-Key was used before with another body"
            )
        return found

    def _add(self, new: OutboundMessage) -> OutboundMessage:
        """Store a message. When the write's answer is lost, look whether it was done."""
        try:
            return self.store.add(new)
        except UnavailableError as error:
            try:
                stored = self.store.get(new.business_id, new.message_id)
            except UnavailableError:
                raise AcceptanceUncertainError(
                    "the message may or may not be stored", message_id=new.message_id
                ) from error
            if stored is None:
                raise
            return stored

    def _enqueue(self, message: OutboundMessage) -> OutboundMessage:
        if message.status is Status.ACCEPTED:
            try:
                self.queue.put(message)
            except Exception as error:  # it is stored, and so it will be sent
                self.report_not_queued(message, error)
        return message

    def _enqueue_again(self, message: OutboundMessage) -> OutboundMessage:
        """Queue what a crash may have kept from the queue; the sweeper queues what is older."""
        started = max(message.accepted_at, message.expires_at - self.max_age_ms)
        return self._enqueue(message) if self.clock() - started < MINUTE else message


def _at_its_place(new: OutboundMessage, message_id: str) -> OutboundMessage:
    """Return `new` as the message whose key is bound already, but which was not stored yet."""
    key = message_key(message_id)
    return replace(new, message_id=message_id, accepted_at=key.accepted_at) if key else new


def _not_retriable(message: OutboundMessage) -> ConflictError:
    return ConflictError(
        f"only a failed or unknown message can be retried; this one is {message.status}",
        message_status=str(message.status),
    )
