"""Sends queued messages to WeChat: claim, call, record the outcome, tell the subscribers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, lambda_client, sqs_client
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.aws.queues import EventSqsQueue, outbound_from_body
from wechat_kf.adapters.aws.token_function import TokenFunction
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client
from wechat_kf.adapters.wechat.outcome_log import log_outcome
from wechat_kf.adapters.wechat.sender import WeChatSender
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenProvider
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.messages.attempt import Attempt

WORKERS = 5
"""Conversations sent to side by side; with OutboundConcurrency it bounds the calls at one time."""

ATTEMPT_MS = 24_000
"""What one attempt may take that sends nothing: 7 s for a token, 16 s to connect in vain (two hosts
of four addresses, 2 s each), a second for the table. It is not begun with less time: cut off by the
time limit, it would end as `unknown`."""


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """Environment of the outbound function."""

    app_id: str
    outbound_queue_url: str
    inbound_queue_url: str
    messages_table: str
    tokens_table: str
    token_function: str
    transcript_retention_days: int


SETTINGS = load_settings(OutboundSettings)
DYNAMODB, SQS = dynamodb_client(), sqs_client()
QUEUE = VisibilityQueue(SQS, SETTINGS.outbound_queue_url)
TOKENS = TokenProvider(
    TokensTable(DYNAMODB, SETTINGS.tokens_table, SETTINGS.app_id),
    TokenFunction(lambda_client(), SETTINGS.token_function),
    now_ms,
)
ATTEMPT = Attempt(
    store=MessagesTable(
        DYNAMODB, SETTINGS.messages_table, SETTINGS.transcript_retention_days, now_ms
    ),
    sender=WeChatSender(create_client(load_settings(WeChatSettings), TOKENS)),
    events=EventSqsQueue(SQS, SETTINGS.inbound_queue_url),
    clock=now_ms,
    app_id=SETTINGS.app_id,
    report=log_outcome,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the outbound queue; reports what must wait."""
    return process_batch(
        event,
        send,
        queue=QUEUE,
        workers=WORKERS,
        has_time=lambda: context.get_remaining_time_in_millis() > ATTEMPT_MS,
    )


def send(record: Record) -> None:
    """One attempt at one message."""
    ATTEMPT.attempt(*outbound_from_body(record.body))
