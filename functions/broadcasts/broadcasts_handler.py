"""Accepts broadcasts that came by event or queue, and expands every accepted broadcast."""

from __future__ import annotations

from functools import partial
from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.broadcast_queue import (
    BroadcastDeadLetters,
    Expansion,
    Submission,
    UnreadableOrderError,
    broadcast_order,
)
from wechat_kf.adapters.aws.outbound_queue import OutboundSqsQueue
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.app_errors import AppError
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.expansion import Expander
from wechat_kf.observability import count, guard_invocation, logger

CHUNK_MS = 20_000
"""The longest a hundred recipients may take, with throttled writes. An expansion with less time
left continues in another invocation instead of being cut off."""


class BroadcastsSettings(
    bootstrap.EventSettings, bootstrap.AcceptanceSettings, bootstrap.ConversationSettings
):
    """Environment of the broadcasts function."""

    broadcasts_queue_url: str
    broadcasts_dead_letter_queue_url: str
    bulk_queue_url: str
    require_conversation: bool = True


SETTINGS = load_settings(BroadcastsSettings)
SQS = bootstrap.sqs()
QUEUE = VisibilityQueue(SQS, SETTINGS.broadcasts_queue_url)
DEAD_LETTERS = BroadcastDeadLetters(SQS, SETTINGS.broadcasts_dead_letter_queue_url)
STORE = bootstrap.broadcasts_table(SETTINGS)
BROADCASTS = bootstrap.broadcasts(SETTINGS)
PERMISSION = bootstrap.permission(SETTINGS)
CONVERSATIONS = bootstrap.conversations_table(SETTINGS)
EXPANDER = Expander(
    store=bootstrap.messages_table(SETTINGS),
    queue=OutboundSqsQueue(SQS, SETTINGS.bulk_queue_url),
    outcomes=bootstrap.fan_out(SETTINGS),
    buyers=CONVERSATIONS if SETTINGS.require_conversation else None,
    clock=now_ms,
    max_age_ms=SETTINGS.outbound_max_age_seconds * SECOND,
    app_id=SETTINGS.app_id,
)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch of the broadcasts queue; report what must be repeated."""
    return process_batch(event, partial(expand_one, context=context), queue=QUEUE)


def expand_one(record: Record, context: Any) -> None:
    """Expand one broadcast. Safe to repeat; what can never be sent becomes a dead letter."""
    try:
        broadcast = accept(broadcast_order(record.body, record.message_id))
    except (UnreadableOrderError, AppError) as error:
        if isinstance(error, AppError) and error.transient:
            raise
        reason = describe(error)
        DEAD_LETTERS.put(record.body, reason)
        logger.warning("broadcast refused", reason=reason)
        count("BroadcastsRefused")
        return
    EXPANDER.expand(broadcast, has_time=lambda: context.get_remaining_time_in_millis() > CHUNK_MS)
    STORE.finish(broadcast.business_id, broadcast.broadcast_id)
    logger.info(
        "broadcast expanded",
        business_id=broadcast.business_id,
        broadcast_id=broadcast.broadcast_id,
        recipients=len(broadcast.openids),
    )


def accept(order: Expansion | Submission) -> Broadcast:
    """Return the stored broadcast of an order.

    Raises:
        AppError: the document breaks a rule of the API, the broadcast may not be sent, or a table
            is unavailable.
    """
    if isinstance(order, Expansion):
        return BROADCASTS.get(order.business_id, order.broadcast_id)
    # Only such a document needs pydantic, which takes a third of a cold start.
    from wechat_kf.api.broadcast_models import read_event  # noqa: PLC0415

    request = read_event(order.document, order.key)
    PERMISSION.check_merchant(request.business_id)
    PERMISSION.check_content(request.content)
    return BROADCASTS.accept(request)


def describe(error: UnreadableOrderError | AppError) -> str:
    """Describe a refusal shortly, without the producer's words: it is logged and an attribute."""
    if isinstance(error, AppError):
        return f"{error.code}: {error.detail}"
    return f"invalid_request: {error}"
