"""Repairs stuck messages (every minute), and reconciles the merchants (every day)."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.wechat.daily_sync import sync_daily
from wechat_kf.adapters.wechat.directory import WeChatDirectory
from wechat_kf.app_errors import UnavailableError
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.subscriptions.drain import BacklogWatch
from wechat_kf.observability import count, guard_invocation, logger, measure


class SweeperSettings(
    bootstrap.AttemptSettings,
    bootstrap.MerchantChangeSettings,
    bootstrap.TokenSettings,
    bootstrap.BacklogSettings,
):
    """Environment of the sweeper function."""

    bulk_queue_url: str


REPAIR_MS = 10_000
"""What the repair of one message may take, with every call throttled to the end."""

SETTINGS = load_settings(SweeperSettings)
SWEEPER = bootstrap.sweeper(SETTINGS, SETTINGS.bulk_queue_url)
WATCH = BacklogWatch(
    bootstrap.subscriptions_table(SETTINGS),
    bootstrap.backlog_table(SETTINGS),
    bootstrap.drain_queue(SETTINGS),
    now_ms,
)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the task of one of two schedules; the daily one says `{"task": "sync_merchants"}`."""
    if event.get("task") == "sync_merchants":
        return sync_merchants(context)
    wake_drains()
    found = SWEEPER.sweep(lambda: context.get_remaining_time_in_millis() > REPAIR_MS)
    for status, number in found.items():
        logger.warning("stuck messages repaired", found=status, number=number)
        count("StuckMessages", found=status)
    return dict(found)


def wake_drains() -> None:
    """Wake the drain of every backlog, and measure all of them; a failure waits a minute."""
    try:
        found = WATCH.wake()
    except UnavailableError as error:
        logger.warning("backlogs not woken", reason=error.detail)
        return
    measure("BacklogWaiting", found.waiting)
    measure("BacklogOldestSeconds", found.oldest_ms / 1000)
    measure("BacklogHeld", found.held)


def sync_merchants(context: Any) -> dict[str, Any]:
    """Reconcile with WeChat's list; the client is built when it is due."""
    directory = WeChatDirectory(bootstrap.wechat_client(SETTINGS))
    store, place = bootstrap.announced_merchants(SETTINGS), bootstrap.merchants_table(SETTINGS)
    return sync_daily(
        lambda budget_ms: MerchantSync(store, directory, place, now_ms, budget_ms).run(),
        context.get_remaining_time_in_millis,
    )
