"""Send a merchant's welcome message to a buyer who enters a conversation."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from wechat_kf.app_errors import IdempotencyKeyReusedError
from wechat_kf.domain.clock import DAY, Clock
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.merchant import MerchantReader, MerchantStatus
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.conversations import ENTRY_LIFE_MS, MESSAGE_LIFE_MS
from wechat_kf.domain.messages.message import OutboundMessage

WELCOME_LIFE_MS = ENTRY_LIFE_MS
"""WeChat allows a reply for this long after a buyer enters; a later greeting would only confuse."""

GREETING_PAUSE_MS = DAY
"""A buyer is greeted at most once in this time."""


class GreetingRegister(Protocol):
    """Remembers when each buyer was last greeted."""

    def reserve_greeting(
        self, event: Event, *, now: int, silent_since: int, ungreeted_since: int
    ) -> bool:
        """Reserve the greeting of one entry and return whether it may be sent.

        It may when the buyer has not written after `silent_since` and no other entry was greeted
        after `ungreeted_since`; the same event may again. Raise `UnavailableError`.
        """


@dataclass(frozen=True, slots=True)
class Welcome:
    """Sends a merchant's welcome message. Safe to repeat.

    A greeting never uses up a reply: none is sent while the buyer's window of five messages is
    open, and at most one per buyer and day. The main account is not a merchant and sends none.
    """

    merchants: MerchantReader
    conversations: GreetingRegister
    sender: Acceptance
    clock: Clock

    def greet(self, event: Event) -> None:
        """Respond to a `session.entered`; ignore any other event. Raise `UnavailableError`."""
        late = self.clock() - event.at_ms >= WELCOME_LIFE_MS
        if event.type != EventType.SESSION_ENTERED or late:
            return
        merchant = self.merchants.get(event.business_id)
        if merchant is None or merchant.status is not MerchantStatus.ACTIVE:
            return
        if merchant.welcome_message and self._may_greet(event):
            self._send(event, merchant.welcome_message)

    def _may_greet(self, event: Event) -> bool:
        now = self.clock()
        return self.conversations.reserve_greeting(
            event,
            now=now,
            silent_since=now - MESSAGE_LIFE_MS,
            ungreeted_since=now - GREETING_PAUSE_MS,
        )

    def _send(self, event: Event, text: str) -> None:
        draft = OutboundMessage(event.business_id, event.openid, {"type": "text", "text": text})
        # Greeted already, with another text: the merchant changed it between two tries.
        with suppress(IdempotencyKeyReusedError):
            # Not the bare id: callers may well answer an event under the event's own id.
            self.sender.accept(draft, f"welcome|{event.id}")
