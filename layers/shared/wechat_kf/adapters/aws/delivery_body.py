"""A delivery as the text of a queue's message, or of a row that waits."""

from __future__ import annotations

from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Delivery


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
    """The inverse; `position` is the message's sequence number.

    Raises `KeyError`, `TypeError` or `ValueError` for other text.
    """
    document = from_text(body)
    return Delivery(
        subscription_business_id=document["business_id"],
        subscription_id=document["subscription_id"],
        event=Event.from_cloudevent(document["event"]),
        queued_at=document["queued_at"],
        position=position,
    )
