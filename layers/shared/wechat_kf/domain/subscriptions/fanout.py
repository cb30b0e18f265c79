"""Handle an event: record the window and transcript, queue one delivery per subscriber."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.events import ANY_MERCHANT, Event, EventType
from wechat_kf.domain.messages.ports import ConversationStore
from wechat_kf.domain.subscriptions.delivery import Delivery, DeliveryQueue
from wechat_kf.domain.subscriptions.subscription import SubscriptionLister


class Transcript(Protocol):
    """The messages of conversations, kept for a while."""

    def keep(self, event: Event) -> None:
        """Keep a received message; the same event twice is kept once."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Handles one event from the inbound queue. Safe to repeat."""

    conversations: ConversationStore
    transcript: Transcript
    subscriptions: SubscriptionLister
    deliveries: DeliveryQueue
    clock: Clock

    def handle(self, event: Event) -> None:
        """Record the event, then queue its deliveries; a repeat changes nothing."""
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
