"""The broadcasts queue: what this stack, EventBridge and other producers put on it.

Three forms, distinguished by their keys:

- `{"business_id": …, "broadcast_id": …}`: expand a broadcast that was accepted already (ours);
- an EventBridge event with `detail-type` `SendMessages`: accept its `detail`, then expand;
- the detail alone: the same, put here directly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.adapters.aws.json_text import to_text
from wechat_kf.domain.messages.broadcasts import Broadcast

DETAIL_TYPE = "SendMessages"


class BroadcastSqsQueue:
    """Implements `BroadcastQueue`: names a broadcast; its recipients stay in the table."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, broadcast: Broadcast) -> None:
        """Return only when it is safe; a repeat is harmless. Raise `UnavailableError`."""
        order = {"business_id": broadcast.business_id, "broadcast_id": broadcast.broadcast_id}
        with as_unavailable("SQS"):
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=to_text(order))


class BroadcastDeadLetters:
    """The broadcasts' dead-letter queue, for what can never be sent: with the reason."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, body: str, reason: str) -> None:
        """Return only when it is safe. Raise `UnavailableError`."""
        with as_unavailable("SQS"):
            self._client.send_message(
                QueueUrl=self._queue_url,
                MessageBody=body,
                MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
            )


@dataclass(frozen=True, slots=True)
class Expansion:
    """Our own order: expand an accepted broadcast."""

    business_id: str
    broadcast_id: str


@dataclass(frozen=True, slots=True)
class Submission:
    """A producer's order: accept `document` first. A repeat has the same `key`."""

    document: Mapping[str, Any] = field(repr=False)
    key: str


class UnreadableOrderError(ValueError):
    """A message of the queue is none of the three forms."""


def broadcast_order(body: str, message_id: str) -> Expansion | Submission:
    """Read a message of the queue. Raise `UnreadableOrderError`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableOrderError("not JSON") from None
    if not isinstance(document, dict):
        raise UnreadableOrderError("not a JSON object")
    if "detail-type" in document:
        return _from_event_bridge(document, message_id)
    if set(document) == {"business_id", "broadcast_id"}:
        return Expansion(str(document["business_id"]), str(document["broadcast_id"]))
    return Submission(document, f"queue:{message_id}")


def _from_event_bridge(event: Mapping[str, Any], message_id: str) -> Submission:
    detail = event.get("detail")
    if event["detail-type"] != DETAIL_TYPE or not isinstance(detail, dict):
        raise UnreadableOrderError(f"not an event of detail-type {DETAIL_TYPE}")
    # EventBridge always sets an id; another producer's event without one is known by its message.
    event_id = event.get("id")
    return Submission(detail, f"event:{event_id}" if event_id else f"queue:{message_id}")
