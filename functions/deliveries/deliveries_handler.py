"""Delivers queued events to subscribers: webhooks, queues, the event bus."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.aws.queues import delivery_from_body
from wechat_kf.adapters.webhooks.http_post import TOTAL_SECONDS
from wechat_kf.config import load_settings
from wechat_kf.domain.subscriptions.dispatch import PostponedError, lengthen
from wechat_kf.observability import count, guard_invocation, logger

WORKERS = 10
"""As many as a batch has messages: no conversation waits for another one's subscriber."""

ATTEMPT_MS = int(2 * TOTAL_SECONDS * 1000)
"""What one delivery with its bookkeeping may take."""

SETTINGS = load_settings(bootstrap.DeliverySettings)
QUEUE = VisibilityQueue(bootstrap.sqs(), SETTINGS.deliveries_queue_url)
DISPATCH = bootstrap.dispatch(SETTINGS)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of the deliveries queue; report what must wait."""
    return process_batch(
        event,
        deliver,
        queue=QUEUE,
        workers=WORKERS,
        has_time=lambda: context.get_remaining_time_in_millis() > ATTEMPT_MS,
    )


def deliver(record: Record) -> None:
    """Deliver one event to one subscriber."""
    delivery = delivery_from_body(record.body)
    merchant = delivery.event.business_id
    facts: dict[str, Any] = {
        "event_id": delivery.event.id,
        "event_type": delivery.event.type,
        "business_id": merchant,
        "subscription_id": delivery.subscription_id,
    }
    try:
        fate = DISPATCH.dispatch(delivery)
    except PostponedError as error:
        postponed = lengthen(error, record.receive_count)
        delay_ms = postponed.delay_ms
        logger.info("delivery postponed", **facts, reason=postponed.reason, delay_ms=delay_ms)
        count("Deliveries", merchant=merchant, fate="postponed")
        raise postponed from None
    logger.info("delivery settled", **facts, fate=str(fate))
    count("Deliveries", merchant=merchant, fate=fate)
