"""Expands broadcasts into one message per recipient, and takes broadcasts in by event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from wechat_kf.adapters.aws.broadcast_queue import (
    BroadcastDeadLetters,
    Expansion,
    Submission,
    UnreadableOrderError,
    broadcast_order,
)
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.clients import dynamodb_client, sqs_client
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.aws.queues import OutboundSqsQueue
from wechat_kf.api.broadcast_models import SendMessagesEvent, describe_broken_rule
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcast, Broadcasts, expand
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.errors import AppError
from wechat_kf.observability import count, logger


@dataclass(frozen=True, slots=True)
class BroadcastsSettings:
    """Environment of the broadcasts function."""

    broadcasts_queue_url: str
    broadcasts_dead_letter_queue_url: str
    outbound_queue_url: str
    messages_table: str
    merchants_table: str
    transcript_retention_days: int
    outbound_max_age_seconds: int
    allow_menu_messages: bool = False


SETTINGS = load_settings(BroadcastsSettings)
DYNAMODB, SQS = dynamodb_client(), sqs_client()
QUEUE = VisibilityQueue(SQS, SETTINGS.broadcasts_queue_url)
DEAD_LETTERS = BroadcastDeadLetters(SQS, SETTINGS.broadcasts_dead_letter_queue_url)
RETENTION_DAYS = SETTINGS.transcript_retention_days
MESSAGES = MessagesTable(DYNAMODB, SETTINGS.messages_table, RETENTION_DAYS, now_ms)
ACCEPTANCE = Acceptance(
    store=MESSAGES,
    queue=OutboundSqsQueue(SQS, SETTINGS.outbound_queue_url),
    clock=now_ms,
    max_age_ms=SETTINGS.outbound_max_age_seconds * SECOND,
)
STORE = BroadcastsTable(DYNAMODB, SETTINGS.messages_table, RETENTION_DAYS, now_ms)
BROADCASTS = Broadcasts(STORE, MESSAGES, now_ms)
PERMISSION = SendingPermission(
    MerchantsTable(DYNAMODB, SETTINGS.merchants_table),
    now_ms,
    allow_menus=SETTINGS.allow_menu_messages,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the broadcasts queue; reports what must come again."""
    return process_batch(event, expand_one, queue=QUEUE)


def expand_one(record: Record) -> None:
    """One broadcast, safe to repeat. What can never be sent is dead-lettered with the reason."""
    try:
        broadcast = accepted(broadcast_order(record.body, record.message_id))
    except (UnreadableOrderError, ValidationError, AppError) as error:
        if isinstance(error, AppError) and error.transient:
            raise
        reason = _reason(error)
        DEAD_LETTERS.put(record.body, reason)
        logger.warning("broadcast refused", extra={"reason": reason})
        count("BroadcastsRefused")
        return
    expand(broadcast, ACCEPTANCE)
    STORE.finish(broadcast.business_id, broadcast.broadcast_id)
    facts = {"business_id": broadcast.business_id, "broadcast_id": broadcast.broadcast_id}
    logger.info("broadcast expanded", extra={**facts, "recipients": len(broadcast.openids)})


def accepted(order: Expansion | Submission) -> Broadcast:
    """The stored broadcast an order is about.

    Raises pydantic's ValidationError, and AppError.
    """
    if isinstance(order, Expansion):
        return BROADCASTS.get(order.business_id, order.broadcast_id)
    submitted = SendMessagesEvent.model_validate(order.document)
    key = submitted.idempotency_key or order.key
    request = submitted.to_domain(submitted.business_id, key)
    PERMISSION.check_merchant(request.business_id)
    PERMISSION.check_content(request.content)
    return BROADCASTS.accept(request)


def _reason(error: UnreadableOrderError | ValidationError | AppError) -> str:
    """Short, and without what the producer wrote: it is a message attribute, and in the log."""
    if isinstance(error, ValidationError):
        return f"invalid_request: {describe_broken_rule(error)}"
    if isinstance(error, AppError):
        return f"{error.code}: {error.detail}"
    return f"invalid_request: {error}"
