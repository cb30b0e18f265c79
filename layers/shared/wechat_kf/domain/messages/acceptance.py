"""Accept a message for sending, and retry a settled one on the caller's request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.messages.message import OutboundMessage, Status, accept
from wechat_kf.domain.messages.ports import OutboundQueue, OutboundStore
from wechat_kf.errors import ConflictError, IdempotencyKeyReusedError, NotFoundError


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Accepts messages: stored first, then queued, so that accepted means safe."""

    store: OutboundStore
    queue: OutboundQueue
    clock: Clock
    max_age_ms: int

    def accept(self, draft: OutboundMessage, idempotency_key: str | None = None) -> OutboundMessage:
        """Store and queue a message; the same idempotency key answers with the same message.

        A crash between the two leaves it `accepted`: the caller's retry, or the sweeper, queues it.

        Raises:
            IdempotencyKeyReusedError: the key was used before with another body.
        """
        new = accept(
            draft,
            now=self.clock(),
            max_age_ms=self.max_age_ms,
            idempotency_key=idempotency_key,
        )
        message = self.store.add(new)
        if message.request_digest != new.request_digest:
            raise IdempotencyKeyReusedError(
                "this Idempotency-Key was used before with another body"
            )
        return self._enqueue(message)

    def retry(self, business_id: str, message_id: str) -> OutboundMessage:
        """Send a failed or unknown message again, within new limits and with its attempts kept.

        For an unknown one the caller accepts a duplicate by asking.

        Raises:
            NotFoundError: there is no such message.
            ConflictError: it is on its way or sent, or its content is no longer kept.
        """
        message = self.get(business_id, message_id)
        if message.status is Status.ACCEPTED and message.attempts:
            return self._enqueue(message)  # an earlier retry got no further: finish it
        if message.status not in (Status.FAILED, Status.UNKNOWN):
            raise _not_retriable(message)
        if not message.content:
            raise ConflictError("the message's content is no longer kept (retention 0)")
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
        return self._enqueue(again)

    def get(self, business_id: str, message_id: str) -> OutboundMessage:
        """Return one message. Raise `NotFoundError`."""
        message = self.store.get(business_id, message_id)
        if message is None:
            raise NotFoundError("no such message")
        return message

    def _enqueue(self, message: OutboundMessage) -> OutboundMessage:
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
