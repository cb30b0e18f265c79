"""Sub-merchants, their subscriptions, their contact button; and every request no route wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, lambda_client, sqs_client
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.queues import DeliverySqsQueue, EventSqsQueue
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.adapters.aws.token_function import TokenFunction
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.api import merchant_routes, subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.api.fallback import refuse_unrouted
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenProvider
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.events import Event
from wechat_kf.domain.merchants.announcements import AnnouncedMerchants
from wechat_kf.domain.merchants.changes import MerchantAdmin
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar
from wechat_kf.domain.subscriptions.management import Subscriptions
from wechat_kf.observability import count, logger


@dataclass(frozen=True, slots=True)
class MerchantsSettings:
    """Environment of the merchants function."""

    app_id: str
    merchants_table: str
    subscriptions_table: str
    inbound_queue_url: str
    deliveries_queue_url: str
    tokens_table: str
    token_function: str
    event_bus_name: str
    subscriber_queue_name_pattern: str
    allow_loopback_subscribers: bool = False


SETTINGS = load_settings(MerchantsSettings)
DYNAMODB = dynamodb_client()
SQS = sqs_client()


def log_loss(event: Event) -> None:
    """Nobody will hear of this change; the API still tells it."""
    logger.error("merchant event lost", business_id=event.business_id)
    count("MerchantEventLost")


STORE = AnnouncedMerchants(
    MerchantsTable(DYNAMODB, SETTINGS.merchants_table),
    EventSqsQueue(SQS, SETTINGS.inbound_queue_url),
    SETTINGS.app_id,
    on_loss=log_loss,
)
TOKENS = TokenProvider(
    TokensTable(DYNAMODB, SETTINGS.tokens_table, SETTINGS.app_id),
    TokenFunction(lambda_client(), SETTINGS.token_function),
    now_ms,
)
DIRECTORY = WeChatDirectory(create_client(load_settings(WeChatSettings), TOKENS))
USE_CASES = merchant_routes.MerchantUseCases(
    registrar=Registrar(STORE, DIRECTORY, now_ms),
    admin=MerchantAdmin(STORE, DIRECTORY, now_ms),
    sync=MerchantSync(STORE, DIRECTORY, now_ms),
)
SUBSCRIPTIONS = Subscriptions(
    store=SubscriptionsTable(DYNAMODB, SETTINGS.subscriptions_table),
    deliveries=DeliverySqsQueue(SQS, SETTINGS.deliveries_queue_url),
    clock=now_ms,
    app_id=SETTINGS.app_id,
)
TARGETS = TargetRules(
    own_queue_url=SETTINGS.deliveries_queue_url,
    queue_name_pattern=SETTINGS.subscriber_queue_name_pattern,
    event_bus_name=SETTINGS.event_bus_name,
    allow_loopback=SETTINGS.allow_loopback_subscribers,
)

APP = create_app()
APP.include_router(merchant_routes.build_router(USE_CASES))
APP.include_router(subscription_routes.build_router(SUBSCRIPTIONS, TARGETS))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload format 2.0. Also the target of its `$default` route."""
    return refuse_unrouted(event) or APP.resolve(event, context)
