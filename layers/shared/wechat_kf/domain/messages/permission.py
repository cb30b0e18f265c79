"""Who may send what: decided before a message is accepted, not by WeChat afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.merchants.merchant import (
    MerchantInactiveError,
    MerchantReader,
    MerchantStatus,
)
from wechat_kf.domain.remembered import Remembered
from wechat_kf.errors import InvalidRequestError


class SendingPermission:
    """The rules of this stack, beyond WeChat's own.

    A deactivated merchant may not send; a merchant without a record may: it may have been
    registered elsewhere, and WeChat decides. Menus need the operator's consent. A merchant's status
    is cached for a minute.
    """

    def __init__(
        self, merchants: MerchantReader, clock: Clock, *, allow_menus: bool = False
    ) -> None:
        self._merchants = merchants
        self._allow_menus = allow_menus
        self._inactive: Remembered[str, bool] = Remembered(clock, MINUTE, capacity=10_000)

    def check_merchant(self, business_id: str) -> None:
        """Raise `MerchantInactiveError` for a deactivated merchant."""
        if self._inactive.get(business_id, lambda: self._is_inactive(business_id)):
            raise MerchantInactiveError("this merchant is deactivated and may not send")

    def check_content(self, content: Mapping[str, Any]) -> None:
        """Raise `InvalidRequestError` for a menu that this stack does not allow."""
        if content.get("type") == "menu" and not self._allow_menus:
            raise InvalidRequestError(
                "message.type", "menu needs the stack's parameter AllowMenuMessages"
            )

    def _is_inactive(self, business_id: str) -> bool:
        merchant = self._merchants.get(business_id)
        return merchant is not None and merchant.status is MerchantStatus.INACTIVE
