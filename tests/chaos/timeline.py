"""Simulated time: what is to happen, in order, on a clock that jumps from one to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from tests.fakes import FakeClock

Action = Callable[[], None]


class Timeline:
    """Runs actions in the order of their time, and of their planning when that is equal.

    An action may advance the clock (it was slow); what was due meanwhile happens late, after it.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self._due: list[tuple[int, int, Action]] = []
        self._count = 0

    def at(self, when: int, action: Action) -> None:
        """`when` in epoch milliseconds; what lies in the past happens next."""
        self._count += 1
        heapq.heappush(self._due, (when, self._count, action))

    def after(self, milliseconds: int, action: Action) -> None:
        self.at(self.clock() + milliseconds, action)

    def run(self, until: int) -> None:
        """Until nothing is left to happen, or the clock has reached `until`."""
        while self._due and self.clock() < until:
            when, _, action = heapq.heappop(self._due)
            self.clock.now = max(self.clock.now, when)
            action()
