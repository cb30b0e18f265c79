"""What one worker remembers of merchants, so that they are not read for each event."""

from __future__ import annotations

from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.merchants.merchant import Merchant, MerchantReader
from wechat_kf.domain.remembered import Remembered


class MerchantMemory:
    """A `MerchantReader` that remembers merchants for `ttl_ms`.

    Unknown ones are not remembered, so a new merchant is found immediately.
    """

    def __init__(self, store: MerchantReader, clock: Clock, ttl_ms: int = MINUTE) -> None:
        self._store = store
        self._merchants: Remembered[str, Merchant | None] = Remembered(clock, ttl_ms)

    def get(self, business_id: str) -> Merchant | None:
        """Return the merchant as it was at most `ttl_ms` ago, or None when there is none."""
        return self._merchants.get(business_id, lambda: self._store.get(business_id), keep=bool)
