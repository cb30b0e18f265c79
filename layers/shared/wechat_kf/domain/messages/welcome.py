"""A merchant's greeting to whoever enters a conversation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.merchant import MerchantReader, MerchantStatus
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.conversations import ENTRY_LIFE_MS
from wechat_kf.domain.messages.message import OutboundMessage
from wechat_kf.errors import IdempotencyKeyReusedError

WELCOME_LIFE_MS = ENTRY_LIFE_MS
"""WeChat allows a reply for this long after a buyer enters; a later greeting would only confuse."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """Sends a merchant's welcome message, once per session entered. Safe to repeat.

    The main account is not a merchant and sends none.
    """

    merchants: MerchantReader
    sender: Acceptance
    clock: Clock

    def greet(self, event: Event) -> None:
        """Answer a `session.entered`; any other event costs nothing. Raise `UnavailableError`."""
        late = self.clock() - event.at_ms >= WELCOME_LIFE_MS
        if event.type != EventType.SESSION_ENTERED or late:
            return
        merchant = self.merchants.get(event.business_id)
        if merchant is None or merchant.status is not MerchantStatus.ACTIVE:
            return
        if merchant.welcome_message:
            self._send(event, merchant.welcome_message)

    def _send(self, event: Event, text: str) -> None:
        draft = OutboundMessage(event.business_id, event.openid, {"type": "text", "text": text})
        # Greeted already, with another text: the merchant changed it between two tries.
        with suppress(IdempotencyKeyReusedError):
            # Not the bare id: callers may well answer an event under the event's own id.
            self.sender.accept(draft, f"welcome|{event.id}")
