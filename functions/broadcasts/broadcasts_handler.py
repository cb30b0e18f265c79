"""Expands broadcasts into one message per recipient, and takes broadcasts in by event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.broadcast_queue import (
    BroadcastDeadLetters,
    Expansion,
    Submission,
    UnreadableOrderError,
    broadcast_order,
)
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.api.broadcast_models import SendMessagesEvent, describe_broken_rule
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.messages.broadcasts import Broadcast, expand
from wechat_kf.errors import AppError
from wechat_kf.observability import count, logger


@dataclass(frozen=True, kw_only=True)
class BroadcastsSettings(bootstrap.MessageSettings, bootstrap.MerchantSettings):
    """Environment of the broadcasts function."""

    broadcasts_queue_url: str
    broadcasts_dead_letter_queue_url: str
    outbound_max_age_seconds: int


SETTINGS = load_settings(BroadcastsSettings)
QUEUE = VisibilityQueue(bootstrap.sqs(), SETTINGS.broadcasts_queue_url)
DEAD_LETTERS = BroadcastDeadLetters(bootstrap.sqs(), SETTINGS.broadcasts_dead_letter_queue_url)
ACCEPTANCE = bootstrap.acceptance(SETTINGS, SETTINGS.outbound_max_age_seconds * SECOND)
STORE = bootstrap.broadcasts_table(SETTINGS)
BROADCASTS = bootstrap.broadcasts(SETTINGS)
PERMISSION = bootstrap.permission(SETTINGS)


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
