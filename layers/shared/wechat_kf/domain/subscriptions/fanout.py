"""Queue one delivery of an event for each subscriber that wants it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.events import ANY_MERCHANT, Event
from wechat_kf.domain.subscriptions.delivery import Delivery, DeliveryQueue
from wechat_kf.domain.subscriptions.subscription import SubscriptionLister


@dataclass(frozen=True, slots=True)
class FanOut:
    """An `EventQueue` that sends events straight to the deliveries queue. Safe to repeat.

    An event that nobody subscribes to is not queued.
    """

    subscriptions: SubscriptionLister
    deliveries: DeliveryQueue
    clock: Clock

    def put(self, event: Event) -> None:
        """Return only when every delivery is queued. Raise `UnavailableError` when one is not."""
        self.put_all([event])

    def put_all(self, events: Sequence[Event]) -> None:
        """Queue the deliveries of several events of one merchant. Raise `UnavailableError`."""
        now = self.clock()
        subscribers = [
            *self.subscriptions.list(events[0].business_id),
            *self.subscriptions.list(ANY_MERCHANT),
        ]
        deliveries = [
            Delivery(subscriber.business_id, subscriber.subscription_id, event, now)
            for event in events
            for subscriber in subscribers
            if subscriber.wants(event)
        ]
        if deliveries:
            self.deliveries.put(deliveries)
