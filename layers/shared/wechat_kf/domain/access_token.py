"""The life of WeChat's access token: read by many, refreshed by one.

Workers read memory, then the table, then ask the one refresher. The refresher works under a lease
and writes only forward. Source: docs/wechat-api.md, section 9.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import DAY, MINUTE, SECOND, Clock
from wechat_kf.domain.remembered import Remembered

MEMORY_MS = MINUTE
"""How long a worker may trust its own copy (the official scheme's "about a minute")."""

WARM_UP_MS = 4 * MINUTE
"""In its last five minutes stable_token hands out the next token while the old one still works; a
minute of that is left for clocks that differ."""

MARGIN_MS = 30 * SECOND
"""A token this close to its end is not used for a new call."""

LEASE_MS = 15 * SECOND
FORCED_PAUSE_MS = 30 * SECOND
FORCED_PER_DAY = 5  # WeChat allows 20; only for a token that is dead yet handed out again


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and its life, in epoch milliseconds. `requested_at` orders tokens."""

    value: str = field(repr=False)
    requested_at: int = 0
    expires_at: int = 0

    @property
    def fingerprint(self) -> str:
        """Names the token without giving it away."""
        return fingerprint(self.value)

    def usable(self, now: int, margin: int = MARGIN_MS) -> bool:
        return now < self.expires_at - margin


def fingerprint(token: str) -> str:
    """A short digest: equal for equal tokens, of no use to anyone else."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ForcedRefreshes:
    """Forced refreshes so far: on which day (in days since the epoch), how many, and the last."""

    day: int = 0
    count: int = 0
    at: int = 0

    def allowed(self, now: int) -> bool:
        today = self.count if self.day == now // DAY else 0
        return today < FORCED_PER_DAY and now - self.at >= FORCED_PAUSE_MS

    def counted(self, now: int) -> ForcedRefreshes:
        today = self.count if self.day == now // DAY else 0
        return ForcedRefreshes(day=now // DAY, count=today + 1, at=now)


class TokenReader(Protocol):
    """The shared row, as workers see it."""

    def read(self) -> AccessToken | None: ...


class TokenStore(TokenReader, Protocol):
    """The shared row, as the refresher sees it."""

    def take_lease(self, owner: str, *, now: int, until: int) -> ForcedRefreshes | None:
        """Take the lease in one conditional write; None when another `owner` holds it."""

    def record_forced(self, forced: ForcedRefreshes, owner: str) -> bool:
        """Remember forced refreshes, if the lease is ours; else False."""

    def write(self, token: AccessToken, owner: str) -> bool:
        """Write the token if it is newer and the lease is ours, and end the lease; else False."""

    def drop_lease(self, owner: str) -> None:
        """End our lease without a token."""


class TokenIssuer(Protocol):
    """WeChat's stable_token."""

    def issue(self, *, force: bool) -> AccessToken: ...

    def accepts(self, token: AccessToken) -> bool:
        """Return whether WeChat takes the token for a harmless call."""


class TokenRefresher(Protocol):
    """The one who may call the issuer, as workers see it."""

    def refresh(self, refused: str | None) -> None:
        """Make sure the row holds a usable token other than the one of fingerprint `refused`.

        It is the same one when WeChat takes it for other calls. Raises `UnavailableError`.
        """


_ONE = "row"


class TokenProvider:
    """A worker's way to the token: memory (a minute) → table → refresher."""

    def __init__(self, reader: TokenReader, refresher: TokenRefresher, clock: Clock) -> None:
        self._reader = reader
        self._refresher = refresher
        self._clock = clock
        self._memory: Remembered[str, AccessToken] = Remembered(clock, MEMORY_MS)

    def current(self) -> str:
        """Return a token to use now. Raise `UnavailableError` when there is none."""
        token = self._memory.get(_ONE, self._read_usable)
        if not token.usable(self._clock()):
            token = self._memory.put(_ONE, self._read_usable())
        return token.value

    def refused(self, token: str) -> str:
        """Return the table's newer token or a new one, because WeChat has refused `token`.

        Return the same one when WeChat takes it for other calls: the call is at fault, not the
        token. Raises `UnavailableError` when there is no usable one.
        """
        return self._memory.put(_ONE, self._read_usable(other_than=token)).value

    def _read_usable(self, other_than: str | None = None) -> AccessToken:
        row = self._reader.read()
        if row is not None and row.value != other_than and row.usable(self._clock()):
            return row
        return self._ask(fingerprint(other_than) if other_than else None)

    def _ask(self, refused: str | None) -> AccessToken:
        self._refresher.refresh(refused)
        row = self._reader.read()
        if row is None or not row.usable(self._clock()):
            raise UnavailableError("no access token can be had now")
        return row


@dataclass(frozen=True, slots=True)
class TokenKeeper:
    """The refresher: one call to WeChat per token life, however many ask at once."""

    store: TokenStore
    issuer: TokenIssuer
    clock: Clock
    owner: str
    pause: Callable[[float], None] = time.sleep
    patience_ms: int = 10 * SECOND

    def refresh(self, refused: str | None = None, *, warm_up: bool = False) -> None:
        """Ensure the stored token is usable, refreshing it if necessary.

        `refused` is the fingerprint of a token WeChat no longer takes; `warm_up` also renews one
        that is about to expire (for the schedule).

        Raises:
            UnavailableError: no usable token within our patience.

        What the issuer raises passes through.
        """
        margin = WARM_UP_MS if warm_up else MARGIN_MS
        deadline = self.clock() + self.patience_ms
        while not self._good(refused, margin):
            now = self.clock()
            forced = self.store.take_lease(self.owner, now=now, until=now + LEASE_MS)
            if forced is not None:
                self._renew_leased(refused, margin, forced)
                return
            if now >= deadline:
                raise UnavailableError("another worker has been refreshing the token for too long")
            self.pause(0.1)

    def _good(self, refused: str | None, margin: int) -> bool:
        row = self.store.read()
        return row is not None and row.usable(self.clock(), margin) and row.fingerprint != refused

    def _renew_leased(self, refused: str | None, margin: int, forced: ForcedRefreshes) -> None:
        written = False
        try:
            if self._good(refused, margin):  # it came between our look and our lease
                return
            token = self._issue(refused, forced)
            if token.fingerprint == refused:  # good for other calls: the refused one is at fault
                return
            written = self.store.write(token, self.owner)
            if not written and not self._good(refused, margin):
                raise UnavailableError("another worker is refreshing the token")
        finally:
            if not written:
                self.store.drop_lease(self.owner)

    def _issue(self, refused: str | None, forced: ForcedRefreshes) -> AccessToken:
        token = self.issuer.issue(force=False)
        # One message that WeChat always refuses must not cost a token that works for all others.
        if token.fingerprint != refused or self.issuer.accepts(token):
            return token
        now = self.clock()
        if not forced.allowed(now):
            raise UnavailableError("WeChat hands out a token that it refuses; not forced again yet")
        # Counted before the call: one that fails, or whose answer is lost, counts at WeChat too.
        if not self.store.record_forced(forced.counted(now), self.owner):
            raise UnavailableError("another worker is refreshing the token")
        return self.issuer.issue(force=True)
