"""One circuit breaker per subscription: when to stop calling a failing subscriber.

    closed ──5 different events failed, or a Retry-After──▶ open
    open ──cool-down over: one worker claims the probe──▶ half-open
    half-open ──delivered──▶ closed
    half-open ──another event failed──▶ open, for twice as long
    half-open ──an event failed that had failed before──▶ open, for 5 seconds

It counts faults of the subscriber (no connection, a time-out, 5xx, 429), each event once: the
retries of an event that the subscriber cannot take say nothing about the others. Its state is
stored in the subscription's row, so all workers share it; changes are conditional on `open_until`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from wechat_kf.domain.clock import DAY, MINUTE, SECOND

TRIP_AFTER = 5
"""Different events that failed since the last success, over all conversations."""

FIRST_COOL_DOWN_MS = 5 * SECOND
LONGEST_COOL_DOWN_MS = 40 * SECOND
"""Less than a minute, so that an event the subscriber can take never waits longer than that."""

LONGEST_RETRY_AFTER_MS = 30 * MINUTE
"""The longest `Retry-After` we honour."""

PROBE_MS = 10 * SECOND
"""How long a worker may take for the probe; then another one may try."""

WAY_MS = 5 * SECOND
"""Once the cool-down is over, so long the probe is left to events that have not failed yet."""

HOPELESS_AFTER_MS = DAY
"""An open circuit without a success for so long pauses the subscription."""

GONE_AFTER_MS = MINUTE
"""A 410 disables when another event was answered so too, so long before, with no success since."""

MOST_SUSPECTS = 32
"""So many failed events are remembered; with more, the oldest may count once more."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Instants are epoch milliseconds, 0 for never.

    `failures` counts the events that failed since the last success, `suspects` names the latest
    events that ever failed; `trips` counts the openings since the circuit was last closed;
    `recovered_at` is when an open circuit last closed. `gone_since` and `gone_event` tell of the
    first 410 since the last success.
    """

    failures: int = 0
    failing_since: int = 0
    trips: int = 0
    open_until: int = 0
    recovered_at: int = 0
    suspects: tuple[str, ...] = ()
    gone_since: int = 0
    gone_event: str = ""

    @property
    def closed(self) -> bool:
        return self.open_until == 0

    def wait_ms(self, event_id: str, now: int) -> int:
        """Return how long this event must wait before it may be attempted, or be the probe.

        An event that has failed before gives way to the others for a moment.
        """
        from_when = self.open_until + (WAY_MS if self.knows(event_id) else 0)
        return max(0, from_when - now)

    def knows(self, event_id: str) -> bool:
        """Return whether this event has failed before."""
        return suspect_name(event_id) in self.suspects

    def is_hopeless(self, now: int) -> bool:
        """Return whether it has failed for so long that somebody must look at it."""
        return self.failures >= TRIP_AFTER and now - self.failing_since >= HOPELESS_AFTER_MS

    def must_trip(self, retry_after_ms: int | None) -> bool:
        """Return whether a closed circuit opens now: too many failures, or a `Retry-After`."""
        return self.closed and (self.failures >= TRIP_AFTER or bool(retry_after_ms))

    def count_failure(self, event_id: str, now: int) -> Circuit:
        """Return the circuit after a failed attempt; an event is counted once."""
        if self.knows(event_id):
            return self
        return replace(
            self,
            failures=self.failures + 1,
            failing_since=self.failing_since or now,
            suspects=(*self.suspects, suspect_name(event_id))[-MOST_SUSPECTS:],
        )

    def trip(self, now: int, retry_after_ms: int | None = None) -> Circuit:
        """Open for a cool-down that doubles each time, or for longer if the subscriber asks."""
        asked_ms = min(retry_after_ms or 0, LONGEST_RETRY_AFTER_MS)
        pause_ms = max(_cool_down_ms(self.trips), asked_ms)
        return replace(self, trips=self.trips + 1, open_until=now + pause_ms)

    def hold(self, now: int) -> Circuit:
        """Stay open for a moment: an event that had failed before failed as the probe."""
        return replace(self, open_until=now + FIRST_COOL_DOWN_MS)

    def start_probe(self, now: int) -> Circuit:
        """Half-open: whoever writes this may try one delivery, the others wait a moment."""
        return replace(self, open_until=now + PROBE_MS)

    def witness_gone(self, event_id: str, now: int) -> Circuit:
        """Return the circuit after a 410; the first one is remembered."""
        if self.gone_since:
            return self
        return replace(self, gone_since=now, gone_event=suspect_name(event_id))

    def is_gone(self, event_id: str, now: int) -> bool:
        """Return whether a 410 for this event is the second witness of the first."""
        other = self.gone_event not in ("", suspect_name(event_id))
        return other and now - self.gone_since >= GONE_AFTER_MS

    @property
    def is_well(self) -> bool:
        """Return whether a success changes nothing."""
        return self.closed and not self.failures and not self.gone_since

    def recover(self, now: int) -> Circuit:
        """Close after a success. Suspects stay: their retries are no news."""
        recovered_at = self.recovered_at if self.closed else now
        return Circuit(recovered_at=recovered_at, suspects=self.suspects)


def suspect_name(event_id: str) -> str:
    """Shorten an event's id for the list of suspects."""
    return hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _cool_down_ms(trips: int) -> int:
    return min(FIRST_COOL_DOWN_MS << min(trips, 30), LONGEST_COOL_DOWN_MS)
