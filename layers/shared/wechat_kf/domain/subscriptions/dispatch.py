"""The use case of the deliveries function: deliver one event, or wait, or give up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from wechat_kf.domain.clock import MINUTE, SECOND, Clock, rfc3339
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventQueue, EventType
from wechat_kf.domain.subscriptions.circuit import PROBE_MS, Circuit
from wechat_kf.domain.subscriptions.delivery import (
    DeadLetters,
    Deferred,
    Delivered,
    Delivery,
    Refused,
    Subscriber,
    backoff_ms,
)
from wechat_kf.domain.subscriptions.subscription import Subscription, SubscriptionStatus, TargetType
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory
from wechat_kf.errors import RetryLater, UnavailableError

PAUSED_LOOK_MS = 5 * MINUTE
"""Waiting events move again at most this long after a resume."""

OFTEN = 150
SPARING_MS = 5 * MINUTE
"""The backlog of a subscriber that keeps recovering and failing is received every few seconds. The
deliveries queue dead-letters a message after 500 receives, so from the 150th on, at least five
minutes pass: the 24 hours that an event is kept then make at most 438 receives."""


class Fate(StrEnum):
    """The final result of a delivery."""

    DELIVERED = "delivered"
    DROPPED = "dropped"  # its subscription was removed by a caller
    DEAD_LETTERED = "dead_lettered"


class PostponedError(RetryLater):
    """The delivery waits for `delay_ms`; `reason` is short and constant, for the log."""

    def __init__(self, delay_ms: int, reason: str) -> None:
        super().__init__(delay_ms)
        self.reason = reason


def lengthen(postponed: PostponedError, receives: int) -> PostponedError:
    """Return the same wait, or a longer one when the delivery has been received often."""
    least_ms = SPARING_MS if receives >= OFTEN else 0
    return PostponedError(max(postponed.delay_ms, least_ms), postponed.reason)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Delivers under the rules of pause, circuit, back-off and retention. Safe to repeat."""

    subscriptions: SubscriptionMemory
    subscribers: Mapping[TargetType, Subscriber]
    dead_letters: DeadLetters
    events: EventQueue
    clock: Clock
    app_id: str
    report_stop: Callable[[Subscription], None] = lambda _: None

    def dispatch(self, delivery: Delivery) -> Fate:
        """Deliver one event now, or give it up.

        Raises:
            PostponedError: it must wait, and with it what stands behind it in its conversation.
            UnavailableError: our own table or queue failed.
        """
        subscription = self.subscriptions.get(
            delivery.subscription_business_id, delivery.subscription_id
        )
        match subscription:
            case None:
                return Fate.DROPPED
            case Subscription(status=SubscriptionStatus.DISABLED):
                return self._give_up(delivery, "disabled")
            case Subscription(status=SubscriptionStatus.PAUSED):
                return self._wait(delivery, self._pause_look_ms(delivery), "paused")
            case _:
                return self._dispatch_active(subscription, delivery)

    def _dispatch_active(self, subscription: Subscription, delivery: Delivery) -> Fate:
        """Deliver through the circuit: closed lets all pass, half-open lets one."""
        circuit, now = subscription.circuit, self.clock()
        if circuit.closed:
            return self._attempt(subscription, delivery)
        if now < circuit.open_until:
            return self._wait(delivery, circuit.open_until - now, "circuit open")
        probe = self.subscriptions.move_circuit(subscription, circuit.probing(now))
        if probe is None:  # another worker is probing
            return self._wait(delivery, PROBE_MS, "circuit open")
        return self._attempt(probe, delivery)

    def _attempt(self, subscription: Subscription, delivery: Delivery) -> Fate:
        subscriber = self.subscribers[subscription.target.type]
        result = subscriber.deliver(subscription, delivery.event)
        match result:
            case Delivered():
                self._note_success(subscription)
                return Fate.DELIVERED
            case Refused(reason):
                self._stop(subscription, SubscriptionStatus.DISABLED, reason)
                return self._give_up(delivery, "disabled")
            case Deferred():
                return self._defer(self._note_failure(subscription, result), delivery, result)

    def _defer(self, subscription: Subscription, delivery: Delivery, result: Deferred) -> Fate:
        """While the circuit is open it sets the pace, so that all go on soon after a recovery."""
        now, circuit = self.clock(), subscription.circuit
        if not circuit.closed:
            return self._wait(delivery, circuit.open_until - now, result.reason)
        # Failures before the circuit last closed must not slow it down now.
        tried_for_ms = now - max(delivery.queued_at, circuit.recovered_at)
        return self._wait(delivery, backoff_ms(tried_for_ms), result.reason)

    def _note_success(self, subscription: Subscription) -> None:
        circuit = subscription.circuit
        if circuit.failures or not circuit.closed:
            # The subscriber has the event: a failing table must not cause a second delivery.
            with suppress(UnavailableError):
                self.subscriptions.move_circuit(subscription, circuit.recovered(self.clock()))

    def _note_failure(self, subscription: Subscription, result: Deferred) -> Subscription:
        """Count the failure; open the circuit or pause the subscription if necessary."""
        now, asked_ms = self.clock(), result.retry_after_ms
        if subscription.circuit.closed:
            subscription = self.subscriptions.count_failure(subscription, now)
            if subscription.circuit.must_trip(asked_ms):
                subscription = self._trip(subscription, subscription.circuit, asked_ms)
        else:  # it was the probe that failed
            subscription = self._trip(subscription, subscription.circuit.counted(now), asked_ms)
        if subscription.circuit.hopeless(now):
            self._stop(subscription, SubscriptionStatus.PAUSED, f"failing: {result.reason}")
        return subscription

    def _trip(
        self, subscription: Subscription, circuit: Circuit, asked_ms: int | None
    ) -> Subscription:
        opened = circuit.tripped(self.clock(), asked_ms)
        return self.subscriptions.move_circuit(subscription, opened) or subscription

    def _stop(self, subscription: Subscription, status: SubscriptionStatus, reason: str) -> None:
        """Notify first, then write: a crash in between repeats an event and loses none."""
        stopped = replace(subscription, status=status, status_reason=reason)
        self.report_stop(stopped)
        self.events.put(make_stopped_event(stopped, self.app_id, self.clock()))
        self.subscriptions.update(stopped)

    def _wait(self, delivery: Delivery, wait_ms: int, reason: str) -> Fate:
        left_ms = delivery.expires_at - self.clock()
        if left_ms <= 0:
            return self._give_up(delivery, f"expired: {reason}")
        raise PostponedError(max(SECOND, min(wait_ms, left_ms)), reason)

    def _give_up(self, delivery: Delivery, reason: str) -> Fate:
        self.dead_letters.put(delivery, reason)
        return Fate.DEAD_LETTERED

    def _pause_look_ms(self, delivery: Delivery) -> int:
        return min(backoff_ms(self.clock() - delivery.queued_at), PAUSED_LOOK_MS)


def make_stopped_event(subscription: Subscription, app_id: str, now: int) -> Event:
    """Notify other subscribers that failures paused or disabled a subscription.

    For a subscription to all merchants, the main account's subscribers are notified. The same stop
    has the same id, however many workers notice it.
    """
    everyone = subscription.business_id == ANY_MERCHANT
    since = subscription.circuit.failing_since
    fingerprint = f"{subscription.subscription_id}|{subscription.status}|{subscription.revision}"
    return Event(
        id=hashlib.sha256(fingerprint.encode()).hexdigest(),
        type=EventType.SUBSCRIPTION_PAUSED,
        app_id=app_id,
        business_id=MAIN_ACCOUNT if everyone else subscription.business_id,
        openid=subscription.subscription_id,
        at_ms=now,
        data={
            "business_id": subscription.business_id,
            "subscription_id": subscription.subscription_id,
            "status": str(subscription.status),
            "reason": subscription.status_reason,
            "failing_since": rfc3339(since) if since else None,
        },
    )
