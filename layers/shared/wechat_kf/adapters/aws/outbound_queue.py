"""The outbound and the bulk queue: messages on their way to WeChat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechat_kf.adapters.aws.fifo import digest, safe_id, send, send_all
from wechat_kf.adapters.aws.json_text import from_text, to_text

if TYPE_CHECKING:
    from wechat_kf.domain.messages.message import OutboundMessage


@dataclass(frozen=True, slots=True)
class OutboundSqsQueue:
    """Implements `OutboundQueue`: carries a message's id; its content stays in the table."""

    client: Any
    queue_url: str

    def put(self, message: OutboundMessage) -> None:
        """Queue a message behind the others of its conversation; a repeat is harmless.

        After a caller's retry, which has another age limit, it counts as new. Raise
        `UnavailableError`.
        """
        send(self.client, self.queue_url, _outbound_entry(message))

    def put_all(self, messages: Iterable[OutboundMessage]) -> None:
        """Queue messages, ten with each request. Raise `UnavailableError`."""
        send_all(self.client, self.queue_url, map(_outbound_entry, messages))


@dataclass(frozen=True, slots=True)
class OutboundLanes:
    """Implements `OutboundQueue`: messages of broadcasts take the bulk queue."""

    outbound: OutboundSqsQueue
    bulk: OutboundSqsQueue

    def put(self, message: OutboundMessage) -> None:
        """Queue a message in its lane. Raise `UnavailableError`."""
        (self.bulk if message.broadcast_id else self.outbound).put(message)


def outbound_from_body(body: str) -> tuple[str, str]:
    """(business id, message id) of an outbound queue's message.

    Raises `KeyError`, `TypeError` or `ValueError` for other text.
    """
    document = from_text(body)
    return document["business_id"], document["message_id"]


def _outbound_entry(message: OutboundMessage) -> dict[str, str]:
    body = {"business_id": message.business_id, "message_id": message.message_id}
    name = f"{message.business_id}|{message.message_id}|{message.expires_at}"
    return {
        "MessageBody": to_text(body),
        "MessageGroupId": safe_id(message.conversation),
        "MessageDeduplicationId": digest(name),
    }
