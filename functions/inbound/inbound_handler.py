"""Fans every event out: conversation window, transcript, deliveries, and the welcome message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, sqs_client
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.aws.queues import DeliverySqsQueue, OutboundSqsQueue, event_from_body
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.session_entry import EntryRecovery
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.welcome import WELCOME_LIFE_MS, Welcome
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription_memory import CachedSubscriptions
from wechat_kf.errors import UnavailableError
from wechat_kf.observability import count, logger

EVENT_MS = 10_000
"""What fanning one event out may take: two writes that are throttled to the end, with their pauses.
A batch that has less left gives the rest back, rather than being cut off with what it has done."""


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """Environment of the inbound function."""

    inbound_queue_url: str
    deliveries_queue_url: str
    outbound_queue_url: str
    merchants_table: str
    conversations_table: str
    messages_table: str
    subscriptions_table: str
    transcript_retention_days: int


SETTINGS = load_settings(InboundSettings)
DYNAMODB, SQS = dynamodb_client(), sqs_client()
QUEUE = VisibilityQueue(SQS, SETTINGS.inbound_queue_url)
MERCHANTS = MerchantsTable(DYNAMODB, SETTINGS.merchants_table)
MESSAGES = MessagesTable(
    DYNAMODB, SETTINGS.messages_table, SETTINGS.transcript_retention_days, now_ms
)
RECOVERY = EntryRecovery(MERCHANTS)
FAN_OUT = FanOut(
    conversations=ConversationsTable(DYNAMODB, SETTINGS.conversations_table),
    transcript=MESSAGES,
    subscriptions=CachedSubscriptions(
        SubscriptionsTable(DYNAMODB, SETTINGS.subscriptions_table), now_ms
    ),
    deliveries=DeliverySqsQueue(SQS, SETTINGS.deliveries_queue_url),
    clock=now_ms,
)
WELCOME = Welcome(
    merchants=MERCHANTS,
    sender=Acceptance(
        store=MESSAGES,
        queue=OutboundSqsQueue(SQS, SETTINGS.outbound_queue_url),
        clock=now_ms,
        max_age_ms=WELCOME_LIFE_MS,
    ),
    clock=now_ms,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the inbound queue; reports what must come again."""
    return process_batch(
        event,
        fan_out,
        queue=QUEUE,
        has_time=lambda: context.get_remaining_time_in_millis() > EVENT_MS,
    )


def fan_out(record: Record) -> None:
    """One event, safe to repeat."""
    event = RECOVERY.recover(event_from_body(record.body))
    FAN_OUT.handle(event)
    if event.type == EventType.MESSAGE_RECEIVED:
        count("MessagesReceived", merchant=event.business_id)
    greet(event)


def greet(event: Event) -> None:
    """A courtesy: no event waits for it, or comes again because it failed."""
    try:
        WELCOME.greet(event)
    except UnavailableError as error:
        logger.warning("welcome lost", extra={"event_id": event.id, "reason": error.detail})
        count("WelcomeLost")
