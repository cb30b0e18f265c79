"""Sub-merchants, their subscriptions, their contact button; and every request no route wants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.queues import DeliverySqsQueue
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.api import merchant_routes, subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.api.fallback import refuse_unrouted
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.merchants.changes import MerchantAdmin
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar
from wechat_kf.domain.subscriptions.management import SubscriptionManager


@dataclass(frozen=True, kw_only=True)
class MerchantsSettings(bootstrap.MerchantChangeSettings, bootstrap.TokenSettings):
    """Environment of the merchants function."""

    subscriptions_table: str
    deliveries_queue_url: str
    event_bus_name: str
    subscriber_queue_name_pattern: str
    allow_loopback_subscribers: bool = False


SETTINGS = load_settings(MerchantsSettings)
STORE = bootstrap.announced_merchants(SETTINGS)
DIRECTORY = WeChatDirectory(bootstrap.wechat_client(SETTINGS))
USE_CASES = merchant_routes.MerchantUseCases(
    registrar=Registrar(STORE, DIRECTORY, now_ms),
    admin=MerchantAdmin(STORE, DIRECTORY, now_ms),
    sync=MerchantSync(STORE, DIRECTORY, now_ms),
)
SUBSCRIPTIONS = SubscriptionManager(
    store=SubscriptionsTable(bootstrap.dynamodb(), SETTINGS.subscriptions_table),
    deliveries=DeliverySqsQueue(bootstrap.sqs(), SETTINGS.deliveries_queue_url),
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
