"""Delivers events to webhooks, queues and the event bus: queued ones, and those in the backlog."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import drain_from_body
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.webhooks.http_post import TOTAL_SECONDS
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.subscriptions.courier import PostponedError
from wechat_kf.observability import guard_invocation

WORKERS = 10
"""As many as a batch has messages: no conversation waits for another one's subscriber."""

ATTEMPT_MS = int(2 * TOTAL_SECONDS * 1000)
"""What one delivery with its bookkeeping may take."""


SETTINGS = load_settings(bootstrap.DeliverySettings)
DELIVERIES = VisibilityQueue(bootstrap.sqs(), SETTINGS.deliveries_queue_url)
DRAINS = VisibilityQueue(bootstrap.sqs(), SETTINGS.drains_queue_url, reports_age=False)
DISPATCH, DRAIN = bootstrap.deliveries(SETTINGS)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of either queue; report what must wait."""

    def has_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > ATTEMPT_MS)

    def drain(record: Record) -> None:
        key, lane = drain_from_body(record.body)
        if lane:
            DRAIN.drain_lane(key, lane, has_time)
        else:
            DRAIN.drain(key, until=record.sent_at_ms + MINUTE)

    drains = SETTINGS.drains_queue_url.rpartition("/")[2]
    if event["Records"][0]["eventSourceARN"].endswith(f":{drains}"):
        return process_batch(event, drain, queue=DRAINS, workers=WORKERS, has_time=has_time)
    return process_batch(event, deliver, queue=DELIVERIES, workers=WORKERS, has_time=has_time)


def deliver(record: Record) -> None:
    """Deliver one event to one subscriber, or park it."""
    delivery = delivery_from_body(record.body, record.sequence_number)
    try:
        fate = DISPATCH.dispatch(delivery, repeated=record.receive_count > 1)
    except PostponedError as error:
        bootstrap.report_delivery(
            delivery, "postponed", reason=error.reason, delay_ms=error.delay_ms
        )
        raise
    bootstrap.report_delivery(delivery, fate)
