"""Keeping deactivated merchants from sending, without a read per message."""

from __future__ import annotations

from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.merchant import MerchantInactiveError, MerchantReader, MerchantStatus


class ActiveMerchants:
    """Remembers for `ttl_ms` who is active: a deactivation takes up to that long to be felt."""

    def __init__(self, reader: MerchantReader, clock: Clock, ttl_ms: int = MINUTE) -> None:
        self._reader = reader
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._active_until: dict[str, int] = {}

    def require(self, business_id: str) -> None:
        """Pass for an active merchant, and for one that we hold no record of: WeChat knows best.

        Raises:
            MerchantInactiveError: the merchant is deactivated.
        """
        now = self._clock()
        if now < self._active_until.get(business_id, 0):
            return
        merchant = self._reader.get(business_id)
        if merchant is not None and merchant.status is not MerchantStatus.ACTIVE:
            raise MerchantInactiveError("the merchant is deactivated", business_id=business_id)
        self._active_until[business_id] = now + self._ttl_ms
