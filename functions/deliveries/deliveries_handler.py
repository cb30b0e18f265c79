"""Delivers queued events to subscribers: webhooks, queues, the event bus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, make_client, sqs_client
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.aws.queues import DeadLetterSqsQueue, EventSqsQueue, delivery_from_body
from wechat_kf.adapters.aws.subscribers import TARGET_LIMITS, EventBusSubscriber, SqsSubscriber
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.adapters.webhooks.http_post import TOTAL_SECONDS, Exchange
from wechat_kf.adapters.webhooks.webhook import WebhookSubscriber
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.dispatch import Dispatch, PostponedError, sparing
from wechat_kf.domain.subscriptions.subscription import TargetType
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory
from wechat_kf.observability import count, logger

WORKERS = 10
"""As many as a batch has messages: no conversation waits for another one's subscriber."""

ATTEMPT_MS = int(2 * TOTAL_SECONDS * 1000)
"""What one delivery with its bookkeeping may take."""


@dataclass(frozen=True, slots=True)
class DeliveriesSettings:
    """Environment of the deliveries function."""

    app_id: str
    deliveries_queue_url: str
    deliveries_dead_letter_queue_url: str
    subscriptions_table: str
    inbound_queue_url: str
    allow_loopback_subscribers: bool = False


class Notices(EventSqsQueue):
    """Where it is told that a subscription stopped: to its neighbours, and to the operators."""

    def put(self, event: Event) -> None:
        status, name = event.data["status"], event.data["subscription_id"]
        logger.warning("subscription stopped", extra={"status": status, "subscription_id": name})
        count("SubscriptionsStopped", status=status)
        super().put(event)


SETTINGS = load_settings(DeliveriesSettings)
LOOPBACK = SETTINGS.allow_loopback_subscribers
SQS = sqs_client()
QUEUE = VisibilityQueue(SQS, SETTINGS.deliveries_queue_url)
DISPATCH = Dispatch(
    subscriptions=SubscriptionMemory(
        SubscriptionsTable(dynamodb_client(), SETTINGS.subscriptions_table), now_ms
    ),
    subscribers={
        TargetType.WEBHOOK: WebhookSubscriber(
            Exchange(allow_loopback=LOOPBACK), now_ms, allow_loopback=LOOPBACK
        ),
        TargetType.QUEUE: SqsSubscriber(make_client("sqs", TARGET_LIMITS)),
        TargetType.EVENT_BUS: EventBusSubscriber(make_client("events", TARGET_LIMITS)),
    },
    dead_letters=DeadLetterSqsQueue(SQS, SETTINGS.deliveries_dead_letter_queue_url),
    events=Notices(SQS, SETTINGS.inbound_queue_url),
    clock=now_ms,
    app_id=SETTINGS.app_id,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the deliveries queue; reports what must wait."""
    return process_batch(
        event,
        deliver,
        queue=QUEUE,
        workers=WORKERS,
        logger=logger,
        has_time=lambda: context.get_remaining_time_in_millis() > ATTEMPT_MS,
    )


def deliver(record: Record) -> None:
    """One event to one subscriber."""
    delivery = delivery_from_body(record.body)
    merchant = delivery.event.business_id
    facts = {
        "event_id": delivery.event.id,
        "event_type": delivery.event.type,
        "business_id": merchant,
        "subscription_id": delivery.subscription_id,
    }
    try:
        fate = DISPATCH.dispatch(delivery)
    except PostponedError as error:
        postponed = sparing(error, record.receive_count)
        wait = {"reason": postponed.reason, "delay_ms": postponed.delay_ms}
        logger.info("delivery postponed", extra={**facts, **wait})
        count("Deliveries", merchant=merchant, fate="postponed")
        raise postponed from None
    logger.info("delivery settled", extra={**facts, "fate": str(fate)})
    count("Deliveries", merchant=merchant, fate=fate)
