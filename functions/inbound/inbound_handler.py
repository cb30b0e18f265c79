"""Handles pushed events: delivers them, records them, and sends the welcome message."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.inbound_queue import UnrecordedSqsQueue, event_from_body, is_delivered
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.app_errors import UnavailableError
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.merchant_memory import MerchantMemory
from wechat_kf.domain.merchants.session_entry import EntryRecovery
from wechat_kf.domain.messages.inbound import Inbound
from wechat_kf.domain.messages.welcome import WELCOME_LIFE_MS, Welcome
from wechat_kf.observability import count, guard_invocation, logger

EVENT_MS = 10_000
"""The longest an event may take: two writes that are throttled to the end. A batch with less time
left returns the rest to the queue instead of being cut off."""


class InboundSettings(
    bootstrap.EventSettings,
    bootstrap.MessageSettings,
    bootstrap.MerchantSettings,
    bootstrap.ConversationSettings,
):
    """Environment of the inbound function."""

    inbound_queue_url: str


SETTINGS = load_settings(InboundSettings)
QUEUE = VisibilityQueue(bootstrap.sqs(), SETTINGS.inbound_queue_url)
MERCHANTS = MerchantMemory(bootstrap.merchants_table(SETTINGS), now_ms)
CONVERSATIONS = bootstrap.conversations_table(SETTINGS)
RECOVERY = EntryRecovery(MERCHANTS)
INBOUND = Inbound(
    conversations=CONVERSATIONS,
    transcript=bootstrap.messages_table(SETTINGS),
    subscribers=bootstrap.fan_out(SETTINGS),
    unrecorded=UnrecordedSqsQueue(bootstrap.sqs(), SETTINGS.inbound_queue_url),
)
WELCOME = Welcome(
    merchants=MERCHANTS,
    conversations=CONVERSATIONS,
    sender=bootstrap.acceptance(SETTINGS, WELCOME_LIFE_MS),
    clock=now_ms,
)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch of the inbound queue; report what must be repeated."""
    return process_batch(
        event,
        handle,
        queue=QUEUE,
        has_time=lambda: context.get_remaining_time_in_millis() > EVENT_MS,
    )


def handle(record: Record) -> None:
    """Handle one event. Safe to repeat."""
    event = event_from_body(record.body)
    if is_delivered(record.body):
        INBOUND.record(event)
        return
    event = RECOVERY.recover(event)
    INBOUND.handle(event)
    if event.type == EventType.MESSAGE_RECEIVED:
        count("MessagesReceived", merchant=event.business_id)
    welcome(event)


def welcome(event: Event) -> None:
    """Send the welcome message. Best effort, never retried."""
    try:
        WELCOME.greet(event)
    except UnavailableError as error:
        logger.warning("welcome message failed", event_id=event.id, reason=error.detail)
        count("WelcomeLost")
