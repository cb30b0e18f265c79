"""Dead letters: how to read those of each queue, select them, and send them again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from wechat_kf.adapters.aws.broadcast_queue import Expansion, Submission, broadcast_order
from wechat_kf.adapters.aws.delivery_body import delivery_from_body, delivery_to_body
from wechat_kf.adapters.aws.inbound_queue import event_from_body
from wechat_kf.adapters.aws.json_text import to_text
from wechat_kf.adapters.aws.outbound_queue import outbound_from_body
from wechat_kf.domain.events import Event

RECEIVED_TOO_OFTEN = "received too often"
"""The reason of those that SQS itself moved: our code never finished them."""

UNREADABLE = "unreadable"
"""The event type of those whose body is not ours: they cannot be replayed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What may be shown of a dead letter: no customer text."""

    event_type: str
    business_id: str = ""
    subscription_id: str = ""
    subject: str = ""
    """The event's, message's or broadcast's id."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message of a dead-letter queue; `dead_since` is epoch milliseconds.

    `group_id` is None in a standard queue.
    """

    message_id: str
    receipt_handle: str = field(repr=False)
    body: str = field(repr=False)
    group_id: str | None
    reason: str
    dead_since: int
    facts: Facts

    @property
    def readable(self) -> bool:
        return self.facts.event_type != UNREADABLE


@dataclass(frozen=True, slots=True)
class QueueKind:
    """One of the stack's queues: how to read its bodies, and how to renew them for a replay."""

    name: str
    read: Callable[[str], Facts]
    renew: Callable[[DeadLetter, int], str]

    @property
    def outputs(self) -> tuple[str, str]:
        """Return the stack's outputs with the URLs of the dead-letter queue and of the queue."""
        prefix = self.name.capitalize()
        return f"{prefix}DeadLetterQueueUrl", f"{prefix}QueueUrl"

    def letter(self, message: Mapping[str, Any]) -> DeadLetter:
        """Read a message as SQS returns it, with all its attributes."""
        attributes = message["Attributes"]
        reason = message.get("MessageAttributes", {}).get("reason", {})
        return DeadLetter(
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=message["Body"],
            group_id=attributes.get("MessageGroupId"),
            reason=reason.get("StringValue", RECEIVED_TOO_OFTEN),
            dead_since=int(attributes["SentTimestamp"]),
            facts=self._facts(message["Body"]),
        )

    def _facts(self, body: str) -> Facts:
        try:
            return self.read(body)
        except (KeyError, TypeError, ValueError, AttributeError):
            return Facts(UNREADABLE)

    def entry(self, letter: DeadLetter, now: int) -> dict[str, str]:
        """Return what to send to the queue.

        The deduplication id is new, or SQS would drop what failed less than five minutes ago. It
        is the same for the same dead letter, so that SQS drops the repeat of a replay that was
        interrupted between sending and deleting.
        """
        entry = {"MessageBody": self.renew(letter, now)}
        if letter.group_id is None:
            return entry
        once = hashlib.sha256(f"replay|{letter.message_id}".encode()).hexdigest()
        return {**entry, "MessageGroupId": letter.group_id, "MessageDeduplicationId": once}


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects dead letters; None matches anything.

    `reason` and `event_type` match by prefix: `expired` matches `expired: status 503`.
    """

    reason: str | None = None
    event_type: str | None = None
    business_id: str | None = None
    subscription_id: str | None = None
    dead_before: int | None = None
    dead_after: int | None = None
    unreadable: bool = False
    """Whether unreadable ones match too: they can only be deleted."""

    def matches(self, letter: DeadLetter) -> bool:
        facts = letter.facts
        return (
            (letter.readable or self.unreadable)
            and letter.reason.startswith(self.reason or "")
            and facts.event_type.startswith(self.event_type or "")
            and self.business_id in (None, facts.business_id)
            and self.subscription_id in (None, facts.subscription_id)
            and (self.dead_before is None or letter.dead_since < self.dead_before)
            and (self.dead_after is None or letter.dead_since >= self.dead_after)
        )


def _event_facts(event: Event) -> Facts:
    return Facts(event.type, event.business_id, subject=event.id)


def _delivery_facts(body: str) -> Facts:
    delivery = delivery_from_body(body)
    facts = _event_facts(delivery.event)
    return replace(facts, subscription_id=delivery.subscription_id)


def _outbound_facts(body: str) -> Facts:
    business_id, message_id = outbound_from_body(body)
    return Facts("message", business_id, subject=message_id)


def _broadcast_facts(body: str) -> Facts:
    match broadcast_order(body, ""):
        case Expansion(business_id, broadcast_id):
            return Facts("broadcast", business_id, subject=broadcast_id)
        case Submission(document, _):
            return Facts("submission", str(document["business_id"]))


def _unchanged(letter: DeadLetter, now: int) -> str:
    return letter.body


def _renew_delivery(letter: DeadLetter, now: int) -> str:
    """Give a delivery the full time of a new one."""
    return delivery_to_body(replace(delivery_from_body(letter.body), queued_at=now))


def _renew_broadcast(letter: DeadLetter, now: int) -> str:
    """Keep the broadcast's key: a message with another id would be another broadcast."""
    order = broadcast_order(letter.body, letter.message_id)
    if isinstance(order, Expansion) or order.document.get("idempotency_key"):
        return letter.body
    if order.key.startswith("event:"):
        return letter.body
    return to_text({**order.document, "idempotency_key": order.key})


KINDS = {
    kind.name: kind
    for kind in (
        QueueKind("inbound", lambda body: _event_facts(event_from_body(body)), _unchanged),
        QueueKind("deliveries", _delivery_facts, _renew_delivery),
        QueueKind("outbound", _outbound_facts, _unchanged),
        QueueKind("bulk", _outbound_facts, _unchanged),
        QueueKind("broadcasts", _broadcast_facts, _renew_broadcast),
    )
}
