"""Producers of the FIFO queues, and the bodies of their messages.

The push function imports this module: what only the others need is imported where it is used.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.events import Event
from wechat_kf.errors import UnavailableError
from wechat_kf.observability import logger

if TYPE_CHECKING:
    from wechat_kf.domain.messages.message import OutboundMessage
    from wechat_kf.domain.subscriptions.delivery import Delivery
    from wechat_kf.domain.subscriptions.subscription import SubscriptionKey

_SAFE_ID = re.compile(r"[!-~]{1,128}")
"""What SQS takes as a group or deduplication id: printable ASCII without blanks."""

_BATCH_COUNT = 10
_BATCH_BYTES = 256 * 1024
"""SQS's oldest limit for one call; newer regions take more, none takes less."""

_BATCH_TRIES = 3

_DELIVERED = "delivered"
"""Extension attribute of a CloudEvent on the inbound queue."""


@dataclass(frozen=True, slots=True)
class EventSqsQueue:
    """Implements `EventQueue`: one message per event, ordered and deduplicated per conversation."""

    client: Any
    queue_url: str

    def put(self, event: Event) -> None:
        """Return when the event is safe. Raise `UnavailableError` when it is not."""
        with as_unavailable("SQS"):
            self.client.send_message(
                QueueUrl=self.queue_url,
                MessageBody=event_to_body(event),
                MessageGroupId=safe_id(event.conversation),
                MessageDeduplicationId=event.id,
            )


@dataclass(frozen=True, slots=True)
class UnrecordedSqsQueue:
    """Implements `EventQueue`: delivered events on the inbound queue that must be recorded only.

    They wait in groups of their own, so that they hold up no later event.
    """

    client: Any
    queue_url: str

    def put(self, event: Event) -> None:
        """Return when the event is safe. Raise `UnavailableError` when it is not."""
        with as_unavailable("SQS"):
            self.client.send_message(
                QueueUrl=self.queue_url,
                MessageBody=to_text({**event.to_cloudevent(), _DELIVERED: True}),
                MessageGroupId=_digest(f"unrecorded#{event.conversation}"),
                MessageDeduplicationId=_digest(f"unrecorded|{event.id}"),
            )


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
        with as_unavailable("SQS"):
            self.client.send_message(QueueUrl=self.queue_url, **_outbound_entry(message))

    def put_all(self, messages: Iterable[OutboundMessage]) -> None:
        """Queue messages, ten with each request. Raise `UnavailableError`."""
        _send_all(self.client, self.queue_url, map(_outbound_entry, messages))


@dataclass(frozen=True, slots=True)
class OutboundLanes:
    """Implements `OutboundQueue`: messages of broadcasts take the bulk queue."""

    outbound: OutboundSqsQueue
    bulk: OutboundSqsQueue

    def put(self, message: OutboundMessage) -> None:
        """Queue a message in its lane. Raise `UnavailableError`."""
        (self.bulk if message.broadcast_id else self.outbound).put(message)


@dataclass(frozen=True, slots=True)
class DeliverySqsQueue:
    """Implements `DeliveryQueue`: one message per event and subscription."""

    client: Any
    queue_url: str

    def put(self, deliveries: list[Delivery]) -> None:
        """Return when all are safe; a repeat is harmless. Raise `UnavailableError`."""
        _send_all(self.client, self.queue_url, map(_delivery_entry, deliveries))
        for one in deliveries:
            logger.debug(
                "delivery queued", event_id=one.event.id, subscription_id=one.subscription_id
            )


@dataclass(frozen=True, slots=True)
class DrainSqsQueue:
    """Implements `DrainQueue`: one group per lane, and one per subscription."""

    client: Any
    queue_url: str

    def wake(self, key: SubscriptionKey, token: str) -> None:
        """Drain a subscription. Raises `UnavailableError`."""
        with as_unavailable("SQS"):
            self.client.send_message(QueueUrl=self.queue_url, **_drain_entry(key, "", token))

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        """Drain lanes; what SQS refuses is woken by the next drain. Raises `UnavailableError`."""
        for batch in _batches(_drain_entry(key, lane, token) for lane in lanes):
            entries = [{"Id": str(number), **entry} for number, entry in enumerate(batch)]
            with as_unavailable("SQS"):
                self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)


def _drain_entry(key: SubscriptionKey, lane: str, token: str) -> dict[str, str]:
    business_id, subscription_id = key
    body = {"business_id": business_id, "subscription_id": subscription_id, "lane": lane}
    group = lane or _digest(f"{business_id}#{subscription_id}")
    return {
        "MessageBody": to_text(body),
        "MessageGroupId": group,
        "MessageDeduplicationId": _digest(f"{group}|{token}"),
    }


def drain_from_body(body: str) -> tuple[SubscriptionKey, str]:
    """The subscription to drain, and which lane; "" for all. Raises as `event_from_body`."""
    document = from_text(body)
    return (document["business_id"], document["subscription_id"]), document["lane"]


def _delivery_entry(delivery: Delivery) -> dict[str, str]:
    return {
        "MessageBody": delivery_to_body(delivery),
        "MessageGroupId": delivery.lane,
        "MessageDeduplicationId": _digest(f"{delivery.event.id}|{delivery.subscription_id}"),
    }


def _outbound_entry(message: OutboundMessage) -> dict[str, str]:
    body = {"business_id": message.business_id, "message_id": message.message_id}
    name = f"{message.business_id}|{message.message_id}|{message.expires_at}"
    return {
        "MessageBody": to_text(body),
        "MessageGroupId": safe_id(message.conversation),
        "MessageDeduplicationId": _digest(name),
    }


def _send_all(client: Any, queue_url: str, entries: Iterable[dict[str, str]]) -> None:
    """Send entries in batches. Raise `UnavailableError` when some are refused again and again."""
    for batch in _batches(entries):
        left = {str(number): {"Id": str(number), **entry} for number, entry in enumerate(batch)}
        for _ in range(_BATCH_TRIES):
            with as_unavailable("SQS"):
                answer = client.send_message_batch(QueueUrl=queue_url, Entries=list(left.values()))
            left = {failed["Id"]: left[failed["Id"]] for failed in answer.get("Failed", ())}
            if not left:
                break
        else:
            raise UnavailableError(f"SQS refused {len(left)} of {len(batch)} messages")


def _batches(entries: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    batch: list[dict[str, str]] = []
    room = _BATCH_BYTES
    for entry in entries:
        size = len(entry["MessageBody"].encode())
        if batch and (len(batch) == _BATCH_COUNT or size > room):
            yield batch
            batch, room = [], _BATCH_BYTES
        batch.append(entry)
        room -= size
    if batch:
        yield batch


def event_to_body(event: Event) -> str:
    """The body of an inbound message: the CloudEvent."""
    return to_text(event.to_cloudevent())


def event_from_body(body: str) -> Event:
    """The inverse. Raises `KeyError`, `TypeError` or `ValueError` for other text."""
    return Event.from_cloudevent(from_text(body))


def is_delivered(body: str) -> bool:
    """Return whether an inbound message was delivered before and is to be recorded only."""
    return _DELIVERED in from_text(body)


def outbound_from_body(body: str) -> tuple[str, str]:
    """(business id, message id) of an outbound queue's message. Raises as `event_from_body`."""
    document = from_text(body)
    return document["business_id"], document["message_id"]


def delivery_to_body(delivery: Delivery) -> str:
    """The body of a deliveries message: which subscription, since when, and the CloudEvent."""
    return to_text(
        {
            "business_id": delivery.subscription_business_id,
            "subscription_id": delivery.subscription_id,
            "queued_at": delivery.queued_at,
            "event": delivery.event.to_cloudevent(),
        }
    )


def delivery_from_body(body: str, position: str = "") -> Delivery:
    """The inverse; `position` is the message's sequence number. Raises as `event_from_body`."""
    from wechat_kf.domain.subscriptions.delivery import Delivery  # noqa: PLC0415 - not for push

    document = from_text(body)
    return Delivery(
        subscription_business_id=document["business_id"],
        subscription_id=document["subscription_id"],
        event=Event.from_cloudevent(document["event"]),
        queued_at=document["queued_at"],
        position=position,
    )


def safe_id(text: str) -> str:
    """`text` itself if SQS takes it as a group or deduplication id, else its digest."""
    return text if _SAFE_ID.fullmatch(text) else _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
