"""Who may send what: decided before a message is accepted, not by WeChat afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.domain.clock import MINUTE, Clock
from wechat_kf.domain.merchants.merchant import (
    MerchantInactiveError,
    MerchantReader,
    MerchantStatus,
)
from wechat_kf.errors import InvalidRequestError

MEMORY_MS = MINUTE
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class SendingPermission:
    """The rules of this stack, beyond WeChat's own.

    A deactivated merchant may not send; a merchant we have no record of may (WeChat decides: it may
    have been registered elsewhere). Menus need the operator's consent. What was read of a merchant
    is believed for a minute.
    """

    merchants: MerchantReader
    clock: Clock
    allow_menus: bool = False
    _remembered: dict[str, tuple[bool, int]] = field(default_factory=dict)

    def check(self, business_id: str, content: Mapping[str, Any]) -> None:
        """Raises MerchantInactiveError, or InvalidRequestError for a menu that is not allowed."""
        if content.get("type") == "menu" and not self.allow_menus:
            raise InvalidRequestError(
                "message.type", "menu needs the stack's parameter AllowMenuMessages"
            )
        if self._inactive(business_id):
            raise MerchantInactiveError("this merchant is deactivated and may not send")

    def _inactive(self, business_id: str) -> bool:
        now = self.clock()
        inactive, until = self._remembered.get(business_id, (False, 0))
        if now < until:
            return inactive
        merchant = self.merchants.get(business_id)
        inactive = merchant is not None and merchant.status is MerchantStatus.INACTIVE
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[business_id] = (inactive, now + MEMORY_MS)
        return inactive
