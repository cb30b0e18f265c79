"""Subscribers of every character, in process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.chaos.reckoning import KILLED, Receipt
from tests.fakes import FakeClock
from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered, DeliveryResult, Gone
from wechat_kf.domain.subscriptions.subscription import Subscription

CHARACTERS = ("honest", "slow", "lying", "busy", "moody", "dead", "gone")
"""What a subscription's id says of it. `moody` is down for a while, `gone` says 410 one day."""

FAREWELL_AFTER = 50


class Hooks:
    """Implements `Subscriber`: one system per subscription, and what each of them saw."""

    def __init__(self, clock: FakeClock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._manners: dict[str, Callable[[Subscription, Event], DeliveryResult]] = {
            "honest": self._take,
            "slow": self._take_slowly,
            "lying": self._take_and_deny,
            "busy": self._ask_for_time,
            "moody": self._be_moody,
            "dead": lambda _subscription, _event: Deferred("ConnectionRefusedError"),
            "gone": self._say_farewell,
        }
        self.receipts: list[Receipt] = []
        self.told: dict[str, dict[str, str]] = defaultdict(dict)
        self.moody_until = 0
        self.moody_from = 0
        self.farewell_at = 0
        self.remembered: set[tuple[str, str]] = set()
        """Subscriber and event that only the drains' worker knows to be delivered."""
        self._mark = 0
        self._taken_by_gone = 0

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        return self._manners[subscription.subscription_id](subscription, event)

    def batch_begins(self) -> None:
        self._mark = len(self.receipts)

    def batch_crashed(self) -> None:
        """Nobody on our side will ever know what was answered in this batch."""
        self.receipts[self._mark :] = [
            replace(one, excuse=KILLED) for one in self.receipts[self._mark :]
        ]

    def drain_crashed(self) -> None:
        """Gone with it is the memory of what it could not take out of the backlog."""
        self.batch_crashed()
        self.receipts = [
            replace(one, excuse=KILLED)
            if (one.subscriber, one.event_id) in self.remembered
            else one
            for one in self.receipts
        ]
        self.remembered.clear()

    def _note(self, subscription: Subscription, event: Event, *, accepted: bool) -> None:
        if event.type.endswith((".sent", ".failed", ".unknown")) and "message_id" in event.data:
            if subscription.subscription_id == "honest":
                self.told[event.data["message_id"]][event.id] = event.data["status"]
        elif "reason" not in event.data:  # not the news of a subscription that stopped
            name = subscription.subscription_id
            self.receipts.append(Receipt(name, event.id, len(self.receipts), accepted))

    def _take(self, subscription: Subscription, event: Event) -> DeliveryResult:
        self._note(subscription, event, accepted=True)
        return Delivered()

    def _take_slowly(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """Seconds, and now and then beyond our patience: then it has it and we do not know."""
        chance = self._random.random()
        if chance < 0.0005:
            self._note(subscription, event, accepted=False)
            self._clock.advance(5 * SECOND)
            return Deferred("timeout")
        if chance < 0.01:
            self._clock.advance(self._random.randint(100, SECOND))
        return self._take(subscription, event)

    def _take_and_deny(self, subscription: Subscription, event: Event) -> DeliveryResult:
        if self._random.random() < 0.1:
            self._note(subscription, event, accepted=False)
            return Deferred("answered 500")
        return self._take(subscription, event)

    def _ask_for_time(self, subscription: Subscription, event: Event) -> DeliveryResult:
        if self._random.random() < 0.05:
            return Deferred("answered 429", self._random.randint(1, 20) * SECOND)
        return self._take(subscription, event)

    def _be_moody(self, subscription: Subscription, event: Event) -> DeliveryResult:
        if self.moody_from <= self._clock() < self.moody_until:
            return Deferred("answered 502")
        return self._take(subscription, event)

    def _say_farewell(self, subscription: Subscription, event: Event) -> DeliveryResult:
        if self._taken_by_gone >= FAREWELL_AFTER:
            self.farewell_at = self.farewell_at or len(self.receipts)
            return Gone("answered 410")
        self._taken_by_gone += 1
        return self._take(subscription, event)
