"""The inbound queue: WeChat's pushes as events, on their way to the inbound function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.fifo import digest, safe_id, send
from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.events import Event

_DELIVERED = "delivered"
"""Extension attribute of a CloudEvent on the inbound queue."""


@dataclass(frozen=True, slots=True)
class EventSqsQueue:
    """Implements `EventQueue`: one message per event, ordered and deduplicated per conversation."""

    client: Any
    queue_url: str

    def put(self, event: Event) -> None:
        """Return when the event is safe. Raise `UnavailableError` when it is not."""
        entry = {
            "MessageBody": event_to_body(event),
            "MessageGroupId": safe_id(event.conversation),
            "MessageDeduplicationId": event.id,
        }
        send(self.client, self.queue_url, entry)


@dataclass(frozen=True, slots=True)
class UnrecordedSqsQueue:
    """Implements `EventQueue`: delivered events on the inbound queue that must be recorded only.

    They wait in groups of their own, so that they hold up no later event.
    """

    client: Any
    queue_url: str

    def put(self, event: Event) -> None:
        """Return when the event is safe. Raise `UnavailableError` when it is not."""
        entry = {
            "MessageBody": to_text({**event.to_cloudevent(), _DELIVERED: True}),
            "MessageGroupId": digest(f"unrecorded#{event.conversation}"),
            "MessageDeduplicationId": digest(f"unrecorded|{event.id}"),
        }
        send(self.client, self.queue_url, entry)


def event_to_body(event: Event) -> str:
    """The body of an inbound message: the CloudEvent."""
    return to_text(event.to_cloudevent())


def event_from_body(body: str) -> Event:
    """The inverse. Raises `KeyError`, `TypeError` or `ValueError` for other text."""
    return Event.from_cloudevent(from_text(body))


def is_delivered(body: str) -> bool:
    """Return whether an inbound message was delivered before and is to be recorded only."""
    return _DELIVERED in from_text(body)
