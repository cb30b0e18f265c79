"""Puts right what crashes left behind (every minute), and reconciles the merchants (every day)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, lambda_client, sqs_client
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queues import EventSqsQueue, OutboundSqsQueue
from wechat_kf.adapters.aws.token_function import TokenFunction
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.adapters.wechat.outcome_log import log_outcome
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenProvider
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event
from wechat_kf.domain.merchants.announcements import AnnouncedMerchants
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.sweeper import NoSender, Sweeper
from wechat_kf.observability import count, logger


@dataclass(frozen=True, slots=True)
class SweeperSettings:
    """Environment of the sweeper function."""

    app_id: str
    messages_table: str
    merchants_table: str
    tokens_table: str
    token_function: str
    outbound_queue_url: str
    inbound_queue_url: str
    transcript_retention_days: int


SETTINGS = load_settings(SweeperSettings)
DYNAMODB, SQS = dynamodb_client(), sqs_client()
EVENTS = EventSqsQueue(SQS, SETTINGS.inbound_queue_url)
MESSAGES = MessagesTable(
    DYNAMODB, SETTINGS.messages_table, SETTINGS.transcript_retention_days, now_ms
)
SWEEPER = Sweeper(
    store=MESSAGES,
    queue=OutboundSqsQueue(SQS, SETTINGS.outbound_queue_url),
    settler=Attempt(
        store=MESSAGES,
        sender=NoSender(),
        events=EVENTS,
        clock=now_ms,
        app_id=SETTINGS.app_id,
        report=log_outcome,
    ),
)


def log_loss(event: Event) -> None:
    """Nobody will hear of this change; the API still tells it."""
    logger.error("merchant event lost", extra={"business_id": event.business_id})
    count("MerchantEventLost")


def merchant_sync() -> MerchantSync:
    """Built when it is due, which is once a day."""
    tokens = TokenProvider(
        TokensTable(DYNAMODB, SETTINGS.tokens_table, SETTINGS.app_id),
        TokenFunction(lambda_client(), SETTINGS.token_function),
        now_ms,
    )
    merchants = MerchantsTable(DYNAMODB, SETTINGS.merchants_table)
    return MerchantSync(
        AnnouncedMerchants(merchants, EVENTS, SETTINGS.app_id, report_loss=log_loss),
        WeChatDirectory(create_client(load_settings(WeChatSettings), tokens)),
        now_ms,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Invoked by two schedules; the daily one says `{"task": "sync_merchants"}`."""
    if event.get("task") == "sync_merchants":
        return sync_merchants()
    found = SWEEPER.sweep()
    for status, number in found.items():
        logger.warning("stuck messages repaired", extra={"found": status, "number": number})
        count("StuckMessages", found=status)
    return dict(found)


def sync_merchants() -> dict[str, Any]:
    """Reconcile with WeChat's list and log what was found."""
    report = merchant_sync().run()
    facts = {
        "listed": report.listed,
        "added": len(report.added),
        "changed": len(report.changed),
        "missing": len(report.missing),
        "conflicting": len(report.conflicting),
        "complete": report.complete,
    }
    logger.info("merchants reconciled", extra=facts)
    return facts
