"""The daily reconciliation: it uses the function's time, logs what it did, and retries failures."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from wechat_kf.app_errors import AppError
from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.merchants.reconciliation import SyncReport
from wechat_kf.observability import logger
from wechat_kf.wechat.errors import WeChatError

PAUSES = (0, 5, 15)
"""Seconds to wait before each try."""

SPARE_MS = 10 * SECOND
"""What a run needs at the end for the calls that are under way when its time is over."""


def sync_daily(
    sync: Callable[[int], SyncReport],
    remaining_ms: Callable[[], int],
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Reconcile and return what to log; `sync` takes the milliseconds it may use.

    A failure is logged and tried again while there is time; the next day's run does the rest.
    """
    for seconds in PAUSES:
        pause(seconds)
        budget_ms = remaining_ms() - SPARE_MS
        if budget_ms <= 0:
            break
        try:
            facts = _count(sync(budget_ms))
        except (AppError, WeChatError) as error:
            errcode, rid = getattr(error, "errcode", None), getattr(error, "rid", None)
            code = error.code
            logger.warning("merchant reconciliation failed", code=code, errcode=errcode, rid=rid)
            continue
        logger.info("merchants reconciled", **facts)
        return facts
    logger.error("merchant reconciliation given up until the next run")
    return {"complete": False}


def _count(report: SyncReport) -> dict[str, Any]:
    kinds = ("added", "changed", "missing", "conflicting", "unreadable")
    numbers = {kind: len(getattr(report, kind)) for kind in kinds}
    return {"listed": report.listed, **numbers, "complete": report.complete}
