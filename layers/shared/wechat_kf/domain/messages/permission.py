"""Who may send what: decided before a message is accepted, not by WeChat afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.events import MAIN_ACCOUNT
from wechat_kf.domain.merchants.merchant import (
    MerchantInactiveError,
    MerchantReader,
    MerchantStatus,
    UnknownMerchantError,
)
from wechat_kf.domain.remembered import Remembered

MAY_NOT_SEND = (UnknownMerchantError, MerchantInactiveError)
"""What `SendingPermission.check_merchant` raises."""


class SendingPermission:
    """The rules of this stack, beyond WeChat's own.

    A merchant may send when it is on record and active. With `allow_unregistered` it need not be
    on record: it may have been registered elsewhere, and WeChat decides. Menus need the operator's
    consent. The status of a merchant on record is cached for a minute.
    """

    def __init__(
        self,
        merchants: MerchantReader,
        clock: Clock,
        *,
        allow_menus: bool = False,
        allow_unregistered: bool = False,
    ) -> None:
        self._merchants = merchants
        self._allow_menus = allow_menus
        self._allow_unregistered = allow_unregistered
        self._status: Remembered[str, MerchantStatus] = Remembered(clock, MINUTE, capacity=10_000)

    def check_merchant(self, business_id: str) -> None:
        """Check that this merchant may send; the main account always may.

        Raises:
            UnknownMerchantError: it is not on record.
            MerchantInactiveError: it is deactivated.
        """
        if business_id == MAIN_ACCOUNT:
            return
        status = self._status.get(business_id, lambda: self._read_status(business_id))
        if status is MerchantStatus.INACTIVE:
            raise MerchantInactiveError("this merchant is deactivated and may not send")

    def check_content(self, content: Mapping[str, Any]) -> None:
        """Raise `InvalidRequestError` for a menu that this stack does not allow."""
        if content.get("type") == "menu" and not self._allow_menus:
            raise InvalidRequestError(
                "message.type", "menu needs the stack's parameter AllowMenuMessages"
            )

    def _read_status(self, business_id: str) -> MerchantStatus:
        merchant = self._merchants.get(business_id)
        if merchant:
            return merchant.status
        if self._allow_unregistered:
            return MerchantStatus.ACTIVE
        raise UnknownMerchantError(f"this stack has no merchant {business_id}")
