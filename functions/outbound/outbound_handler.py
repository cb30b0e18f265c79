"""Sends queued messages to WeChat: claim, call, record the outcome, publish it."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.outbound_queue import outbound_from_body
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.wechat.dead_media import DeadMediaSender
from wechat_kf.adapters.wechat.sender import WeChatSender
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.messages.message_ids import log_id
from wechat_kf.observability import guard_invocation, logger

WORKERS = 5
"""Conversations sent to side by side; with OutboundConcurrency it bounds the concurrent calls."""

ATTEMPT_MS = 24_000
"""The longest attempt that sends nothing: 7 s for a token, 16 s for failing connections (two hosts
of four addresses, 2 s each), a second for the table. It is not begun with less time left: cut off
by the time limit, it would end as `unknown`."""


class OutboundSettings(bootstrap.AttemptSettings, bootstrap.TokenSettings):
    """Environment of the outbound function."""

    bulk_queue_url: str


SETTINGS = load_settings(OutboundSettings)
QUEUES = {
    url.rpartition("/")[2]: VisibilityQueue(bootstrap.sqs(), url, reports_age=reports_age)
    for url, reports_age in ((SETTINGS.outbound_queue_url, True), (SETTINGS.bulk_queue_url, False))
}
"""By name: a batch comes from one of the two. A campaign may wait, so only answers report ages."""
SENDER = DeadMediaSender(
    sender=WeChatSender(bootstrap.wechat_client(SETTINGS, opened=True)),
    cache=bootstrap.media_table(SETTINGS, SETTINGS.app_id),
    clock=now_ms,
)
ATTEMPT = bootstrap.attempt(SETTINGS, SENDER)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch of the outbound or the bulk queue; report what must wait."""
    queue_name = event["Records"][0]["eventSourceARN"].rpartition(":")[2]
    return process_batch(
        event,
        send,
        queue=QUEUES[queue_name],
        workers=WORKERS,
        has_time=lambda: context.get_remaining_time_in_millis() > ATTEMPT_MS,
    )


def send(record: Record) -> None:
    """Make one attempt at one message."""
    business_id, message_id = outbound_from_body(record.body)
    logger.debug("attempt begun", message_id=log_id(message_id))
    ATTEMPT.attempt(business_id, message_id)
