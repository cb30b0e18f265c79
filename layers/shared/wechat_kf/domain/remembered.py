"""One small cache for what a worker may believe for a while."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from wechat_kf.domain.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Remembers values for `ttl_ms` milliseconds, `capacity` of them at most.

    Threads may share it: every step on the shared state is one operation on a dict.
    """

    def __init__(self, clock: Clock, ttl_ms: int, capacity: int = 1_000) -> None:
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._capacity = capacity
        self._held: dict[K, tuple[int, V]] = {}

    def get(self, key: K, read: Callable[[], V], keep: Callable[[V], bool] = lambda _: True) -> V:
        """Return the value of `key`, from `read` when none is held or it is too old.

        A value for which `keep` is false is not held. An exception of `read` passes through; an old
        value stays for `stale`.
        """
        held = self._held.get(key)
        if held and self._clock() - held[0] < self._ttl_ms:
            return held[1]
        asked_at = self._clock()
        value = read()
        if keep(value):
            self._hold(key, value, asked_at)
        else:
            self.forget(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Hold `value` from now on, and return it."""
        self._hold(key, value, self._clock())
        return value

    def amend(self, key: K, value: V) -> None:
        """Hold `value` in place of what is held, if anything is, without making it younger."""
        held = self._held.get(key)
        if held:
            self._held[key] = (held[0], value)

    def stale(self, key: K, max_age_ms: int) -> V | None:
        """Return what is held of `key`, however stale up to `max_age_ms`, or None."""
        held = self._held.get(key)
        return held[1] if held and self._clock() - held[0] < max_age_ms else None

    def forget(self, key: K) -> None:
        """Drop what is held of `key`."""
        self._held.pop(key, None)

    def _hold(self, key: K, value: V, at: int) -> None:
        if len(self._held) >= self._capacity:
            self._held.clear()
        self._held[key] = (at, value)
