"""Serves merchants and their subscriptions, and answers every unmatched request."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.attempts_table import AttemptsTable
from wechat_kf.adapters.webhooks.target_rules import TargetRules
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.api import merchant_routes, subscription_routes
from wechat_kf.api.app import create_app
from wechat_kf.api.fallback import answer_unmatched
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.merchants.changes import MerchantAdmin
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import AllowedTargets
from wechat_kf.observability import guard_invocation


class MerchantsSettings(
    bootstrap.MerchantChangeSettings, bootstrap.BacklogSettings, bootstrap.TokenSettings
):
    """Environment of the merchants function."""

    event_bus_name: str
    subscriber_queue_name_pattern: str
    allow_loopback_subscribers: bool = False


SETTINGS = load_settings(MerchantsSettings)
STORE = bootstrap.announced_merchants(SETTINGS)
DIRECTORY = WeChatDirectory(bootstrap.wechat_client(SETTINGS))
PROVIDED: dict[type, Any] = {
    Registrar: Registrar(STORE, DIRECTORY, now_ms),
    MerchantAdmin: MerchantAdmin(STORE, DIRECTORY, now_ms),
    MerchantSync: MerchantSync(STORE, DIRECTORY, bootstrap.merchants_table(SETTINGS), now_ms),
    SubscriptionManager: SubscriptionManager(
        store=bootstrap.subscriptions_table(SETTINGS),
        deliveries=bootstrap.delivery_queue(SETTINGS),
        backlog=bootstrap.backlog_table(SETTINGS),
        drains=bootstrap.drain_queue(SETTINGS),
        attempts=AttemptsTable(bootstrap.dynamodb(), SETTINGS.backlog_table, now_ms),
        clock=now_ms,
        app_id=SETTINGS.app_id,
    ),
    AllowedTargets: TargetRules(
        own_queue_url=SETTINGS.deliveries_queue_url,
        queue_name_pattern=SETTINGS.subscriber_queue_name_pattern,
        event_bus_name=SETTINGS.event_bus_name,
        allow_loopback=SETTINGS.allow_loopback_subscribers,
    ),
}
APP = create_app(merchant_routes, subscription_routes, provided=PROVIDED)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve API Gateway's HTTP API (payload format 2.0), its `$default` route too."""
    return answer_unmatched(event) or APP.resolve(event, context)
