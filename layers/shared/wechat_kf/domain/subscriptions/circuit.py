"""One circuit breaker per subscription: when to stop calling a failing subscriber.

    closed ──5 failures in a row, or the subscriber asks for a pause──▶ open
    open ──cool-down over: one worker claims the probe──▶ half-open
    half-open ──delivered──▶ closed        half-open ──failed──▶ open, for twice as long

Its state is stored in the subscription's row, so all workers share it; every change is conditional
on `open_until`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND

TRIP_AFTER = 5
"""Failures in a row, over all conversations, that open the circuit."""

FIRST_COOL_DOWN_MS = 5 * SECOND
LONGEST_COOL_DOWN_MS = 30 * MINUTE

LONGEST_RETRY_AFTER_MS = 12 * HOUR
"""The longest `Retry-After` we honour."""

PROBE_MS = 10 * SECOND
"""How long a worker may take for the probe; then another one may try."""

HOPELESS_AFTER_MS = DAY
HOPELESS_FAILURES = 10
"""After at least so many failures in a row over so long, the subscription is paused."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """Instants are epoch milliseconds, 0 for never.

    `failures` counts since the last success; `trips` counts the openings since the circuit was last
    closed; `recovered_at` is when an open circuit last closed.
    """

    failures: int = 0
    failing_since: int = 0
    trips: int = 0
    open_until: int = 0
    recovered_at: int = 0

    @property
    def closed(self) -> bool:
        return self.open_until == 0

    def hopeless(self, now: int) -> bool:
        """Return whether it has failed for so long that somebody must look at it."""
        return self.failures >= HOPELESS_FAILURES and now - self.failing_since >= HOPELESS_AFTER_MS

    def must_trip(self, retry_after_ms: int | None) -> bool:
        """Return whether a closed circuit opens now: too many failures, or a `Retry-After`."""
        return self.closed and (self.failures >= TRIP_AFTER or bool(retry_after_ms))

    def counted(self, now: int) -> Circuit:
        """After one more failure."""
        since = self.failing_since or now
        return replace(self, failures=self.failures + 1, failing_since=since)

    def tripped(self, now: int, retry_after_ms: int | None = None) -> Circuit:
        """Open for a cool-down that doubles each time, or longer if the subscriber asks for it."""
        asked_ms = min(retry_after_ms or 0, LONGEST_RETRY_AFTER_MS)
        pause_ms = max(_cool_down_ms(self.trips), asked_ms)
        return replace(self, trips=self.trips + 1, open_until=now + pause_ms)

    def probing(self, now: int) -> Circuit:
        """Half-open: whoever writes this may try one delivery, the others wait a moment more."""
        return replace(self, open_until=now + PROBE_MS)

    def recovered(self, now: int) -> Circuit:
        """After a success."""
        return Circuit(recovered_at=self.recovered_at if self.closed else now)


def _cool_down_ms(trips: int) -> int:
    return min(FIRST_COOL_DOWN_MS << min(trips, 30), LONGEST_COOL_DOWN_MS)
