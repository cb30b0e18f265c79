"""The deliveries and the drains queue: events on their way to subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.adapters.aws.delivery_body import delivery_to_body
from wechat_kf.adapters.aws.fifo import batches, digest, send, send_all
from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.observability import logger

if TYPE_CHECKING:
    from wechat_kf.domain.subscriptions.subscription import SubscriptionKey


@dataclass(frozen=True, slots=True)
class DeliverySqsQueue:
    """Implements `DeliveryQueue`: one message per event and subscription."""

    client: Any
    queue_url: str

    def put(self, deliveries: list[Delivery]) -> None:
        """Return when all are safe; a repeat is harmless. Raise `UnavailableError`."""
        send_all(self.client, self.queue_url, map(_delivery_entry, deliveries))
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
        send(self.client, self.queue_url, _drain_entry(key, "", token))

    def wake_lanes(self, key: SubscriptionKey, lanes: Sequence[str], token: str) -> None:
        """Drain lanes; what SQS refuses is woken by the next drain. Raises `UnavailableError`."""
        for batch in batches(_drain_entry(key, lane, token) for lane in lanes):
            entries = [{"Id": str(number), **entry} for number, entry in enumerate(batch)]
            with as_unavailable("SQS"):
                self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)


def drain_from_body(body: str) -> tuple[SubscriptionKey, str]:
    """The subscription to drain, and which lane; "" for all. Raises as `delivery_from_body`."""
    document = from_text(body)
    return (document["business_id"], document["subscription_id"]), document["lane"]


def _drain_entry(key: SubscriptionKey, lane: str, token: str) -> dict[str, str]:
    business_id, subscription_id = key
    body = {"business_id": business_id, "subscription_id": subscription_id, "lane": lane}
    group = lane or digest(f"{business_id}#{subscription_id}")
    return {
        "MessageBody": to_text(body),
        "MessageGroupId": group,
        "MessageDeduplicationId": digest(f"{group}|{token}"),
    }


def _delivery_entry(delivery: Delivery) -> dict[str, str]:
    return {
        "MessageBody": delivery_to_body(delivery),
        "MessageGroupId": delivery.lane,
        "MessageDeduplicationId": digest(f"{delivery.event.id}|{delivery.subscription_id}"),
    }
