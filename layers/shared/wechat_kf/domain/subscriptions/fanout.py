"""What an event sets off: the window, the transcript, and one delivery per subscriber."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.messages.conversations import ConversationStore
from wechat_kf.domain.subscriptions.delivery import Delivery, DeliveryQueue
from wechat_kf.domain.subscriptions.subscription import Subscription


class Transcript(Protocol):
    """What was said, kept for a while."""

    def keep(self, event: Event) -> None:
        """Keep a received message; the same event twice is kept once."""


class Subscriptions(Protocol):
    """Who might want an event."""

    def list(self, business_id: str) -> Sequence[Subscription]:
        """A merchant's own subscriptions (or those of `*`)."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Handles one event from the inbound queue. Safe to repeat."""

    conversations: ConversationStore
    transcript: Transcript
    subscriptions: Subscriptions
    deliveries: DeliveryQueue
    clock: Clock

    def handle(self, event: Event) -> None:
        """Record it, then line up its deliveries: a repeat finds both done and changes nothing."""
        self._record(event)
        now = self.clock()
        subscribers = [
            *self.subscriptions.list(event.business_id),
            *self.subscriptions.list(ANY_MERCHANT),
        ]
        deliveries = [
            Delivery(subscriber.business_id, subscriber.subscription_id, event, now)
            for subscriber in subscribers
            if subscriber.wants(event)
        ]
        if deliveries:
            self.deliveries.put(deliveries)

    def _record(self, event: Event) -> None:
        if event.type == EventType.MESSAGE_RECEIVED:
            self.conversations.record_message(event.business_id, event.openid, event.at_ms)
            self.transcript.keep(event)
        elif event.type == EventType.SESSION_ENTERED:
            self.conversations.record_entry(event.business_id, event.openid, event.at_ms)
