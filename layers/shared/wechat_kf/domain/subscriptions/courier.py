"""One attempt to deliver an event, and what it says about the subscriber."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from wechat_kf.app_errors import RetryLater, UnavailableError
from wechat_kf.domain.clock import MINUTE, Clock, rfc3339
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventQueue, EventType
from wechat_kf.domain.subscriptions.circuit import PROBE_MS, Circuit
from wechat_kf.domain.subscriptions.delivery import (
    AttemptLog,
    Deferred,
    Delivered,
    Delivery,
    DeliveryResult,
    Failed,
    FailedAttempt,
    Gone,
    Subscriber,
)
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionStatus,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

SLOW_MS = 1_500
"""A delivery that takes so long is slow, also when it succeeds."""

SLOW_EVENTS = 3
SLOW_WITHIN_MS = MINUTE
"""So many slow ones in one worker within a minute make the subscriber slow."""

SLOW_FOR_MS = 10 * MINUTE
"""For so long the events of a slow subscriber leave the main queue, see `Dispatch`."""


class PostponedError(RetryLater):
    """The delivery waits for `delay_ms`; `reason` is short and constant, for the log."""

    def __init__(self, delay_ms: int, reason: str) -> None:
        super().__init__(delay_ms)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of an attempt, and the circuit after it."""

    result: DeliveryResult
    circuit: Circuit


@dataclass(frozen=True, slots=True)
class Courier:
    """Delivers through the circuit, and writes down what was learned of the subscriber."""

    subscriptions: SubscriptionMemory
    subscribers: Mapping[TargetType, Subscriber]
    events: EventQueue
    attempts: AttemptLog
    clock: Clock
    app_id: str
    report_stop: Callable[[Subscription], None] = lambda _: None
    _slow: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)

    def attempt(self, subscription: Subscription, delivery: Delivery) -> Attempt:
        """Attempt one delivery to an active subscription.

        Raises:
            PostponedError: the circuit is open, and nothing was attempted.
            UnavailableError: our own table or queue failed.
        """
        subscription = self._pass_circuit(subscription, delivery.event.id)
        started = self.clock()
        subscriber = self.subscribers[subscription.target.type]
        result = subscriber.deliver(subscription, delivery.event)
        took_ms = self.clock() - started
        if isinstance(result, Delivered):
            self._note_success(subscription)
            if took_ms >= SLOW_MS:
                self._note_slow(subscription)
            return Attempt(result, subscription.circuit)
        self._log(delivery, result, took_ms)
        return Attempt(result, self._note_failure(subscription, delivery.event, result))

    def _pass_circuit(self, subscription: Subscription, event_id: str) -> Subscription:
        """Closed lets all pass, half-open one."""
        circuit, now = subscription.circuit, self.clock()
        if wait_ms := circuit.wait_ms(event_id, now):
            raise PostponedError(wait_ms, "circuit open")
        if circuit.closed:
            return subscription
        probing = self.subscriptions.move_circuit(subscription, circuit.start_probe(now))
        if probing is None:  # another worker is probing
            raise PostponedError(PROBE_MS, "circuit open")
        return probing

    def _note_success(self, subscription: Subscription) -> None:
        if not subscription.circuit.is_well:
            # The subscriber has the event: a failing table must not cause a second delivery.
            with suppress(UnavailableError):
                recovered = subscription.circuit.recover(self.clock())
                self.subscriptions.move_circuit(subscription, recovered)

    def _note_failure(self, subscription: Subscription, event: Event, result: Failed) -> Circuit:
        now = self.clock()
        error = LastError(now, result.reason, event.type)
        if isinstance(result, Deferred):
            return self._note_fault(subscription, event, result, error)
        self.subscriptions.note_failure(subscription, error)
        circuit = subscription.circuit
        if not circuit.closed:  # the probe says nothing: let another event try soon
            circuit = self._move(subscription, circuit.hold(now))
        if isinstance(result, Gone):
            self._note_gone(replace(subscription, circuit=circuit), event.id, result)
        return circuit

    def _note_fault(
        self, subscription: Subscription, event: Event, result: Deferred, error: LastError
    ) -> Circuit:
        """Count a fault of the subscriber; open the circuit or pause if necessary."""
        before, now = subscription.circuit, error.at
        if before.knows(event.id):
            self.subscriptions.note_failure(subscription, error)
            circuit = before if before.closed else self._move(subscription, before.hold(now))
        else:
            subscription = self.subscriptions.count_failure(subscription, event.id, error)
            circuit = subscription.circuit
            if not before.closed or circuit.must_trip(result.retry_after_ms):
                circuit = self._move(subscription, circuit.trip(now, result.retry_after_ms))
        if circuit.is_hopeless(now):
            self._stop(subscription, SubscriptionStatus.PAUSED, f"failing: {result.reason}")
        return circuit

    def _note_gone(self, subscription: Subscription, event_id: str, result: Gone) -> None:
        """Disable at the second witness; remember the first."""
        circuit, now = subscription.circuit, self.clock()
        if circuit.is_gone(event_id, now):
            self._stop(subscription, SubscriptionStatus.DISABLED, result.reason)
        elif not circuit.gone_since:
            self.subscriptions.move_circuit(subscription, circuit.witness_gone(event_id, now))

    def _move(self, subscription: Subscription, circuit: Circuit) -> Circuit:
        moved = self.subscriptions.move_circuit(subscription, circuit)
        return moved.circuit if moved else subscription.circuit

    def _note_slow(self, subscription: Subscription) -> None:
        """Mark the subscription slow after several slow deliveries; only a hint, so best effort."""
        now = self.clock()
        key = subscription.subscription_id
        since, number = self._slow.get(key, (now, 0))
        since, number = (since, number + 1) if now - since < SLOW_WITHIN_MS else (now, 1)
        self._slow[key] = (since, number)
        if number >= SLOW_EVENTS and subscription.slow_until - now < SLOW_FOR_MS // 2:
            with suppress(UnavailableError):
                self.subscriptions.mark_slow(subscription, now + SLOW_FOR_MS)

    def _stop(self, subscription: Subscription, status: SubscriptionStatus, reason: str) -> None:
        """Notify first, then write: a crash in between repeats an event and loses none."""
        stopped = replace(subscription, status=status, status_reason=reason)
        self.report_stop(stopped)
        self.events.put(make_stopped_event(stopped, self.app_id, self.clock()))
        self.subscriptions.update(stopped)

    def _log(self, delivery: Delivery, result: Failed, took_ms: int) -> None:
        self.attempts.add(
            delivery.key,
            FailedAttempt(
                at=self.clock(),
                event_id=delivery.event.id,
                event_type=delivery.event.type,
                reason=result.reason,
                status=result.status,
                took_ms=took_ms,
                excerpt=result.excerpt,
            ),
        )


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
