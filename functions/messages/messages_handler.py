"""Accepts messages for buyers and tells what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import message_routes

from wechat_kf.aws.clients import dynamodb_client, sqs_client
from wechat_kf.aws.conversations_table import ConversationsTable
from wechat_kf.aws.messages_table import MessagesTable
from wechat_kf.aws.queues import OutboundSqsQueue
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.conversation import Window
from wechat_kf.domain.sending import Acceptance, advisory_window
from wechat_kf.http.app import create_app


@dataclass(frozen=True, slots=True)
class MessagesSettings:
    """Environment of the messages function."""

    messages_table: str
    conversations_table: str
    outbound_queue_url: str
    transcript_retention_days: int
    outbound_max_age_seconds: int


SETTINGS = load_settings(MessagesSettings)
DYNAMODB = dynamodb_client()
MESSAGES = MessagesTable(
    DYNAMODB, SETTINGS.messages_table, SETTINGS.transcript_retention_days, now_ms
)
CONVERSATIONS = ConversationsTable(DYNAMODB, SETTINGS.conversations_table)


def window_of(business_id: str, openid: str) -> Window:
    """What we believe WeChat still allows in this conversation."""
    return advisory_window(CONVERSATIONS, MESSAGES, (business_id, openid), now_ms())


APP = create_app()
APP.include_router(
    message_routes.build_router(
        Acceptance(
            store=MESSAGES,
            queue=OutboundSqsQueue(sqs_client(), SETTINGS.outbound_queue_url),
            clock=now_ms,
            max_age_ms=SETTINGS.outbound_max_age_seconds * SECOND,
        ),
        window_of,
    )
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload format 2.0."""
    return APP.resolve(event, context)
