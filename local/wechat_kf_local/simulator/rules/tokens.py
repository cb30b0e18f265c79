"""Access tokens: rotation with overlap, forced refreshes (docs/wechat-api.md, section 9)."""

import re
import string
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.settings import Settings

_LETTERS: Final = string.ascii_letters + string.digits + "-_"
_SHAPE: Final = re.compile(r"\d+_[A-Za-z0-9_-]{20,}")


class Family(StrEnum):
    """The endpoint a token came from; the families never disturb each other."""

    STABLE = "stable"
    CLASSIC = "classic"


@dataclass(slots=True)
class Token:
    """One token. `valid_until` differs from `expires_at` once a newer one has replaced it."""

    value: str
    family: Family
    expires_at: float
    valid_until: float
    killed: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    """What a token endpoint answers; `fresh` marks a new token."""

    value: str
    expires_in: int
    fresh: bool


class Tokens:
    """All tokens of the Mini Program."""

    def __init__(self, settings: Settings, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._all: dict[str, Token] = {}
        self._current: dict[Family, Token] = {}
        self._forced: list[tuple[str, float]] = []

    def stable(self, *, force: bool = False) -> Issued:
        """The same token until its last minutes; then a new one, and both work for a while."""
        now = self._clock.now()
        current = self._current.get(Family.STABLE)
        if force and self._may_force(now):
            self._forced.append((self._clock.day(), now))
            if current is not None:
                current.valid_until = now
            return self._issue(Family.STABLE)
        if current is None or now >= current.valid_until:
            return self._issue(Family.STABLE)
        if now < current.expires_at - self._settings.token_overlap_seconds:
            return Issued(current.value, round(current.expires_at - now), fresh=False)
        current.valid_until = now + self._settings.token_overlap_seconds
        return self._issue(Family.STABLE)

    def classic(self) -> Issued:
        """Always a new token; the one before works for another five minutes."""
        current = self._current.get(Family.CLASSIC)
        if current is not None:
            overlap_end = self._clock.now() + self._settings.token_overlap_seconds
            current.valid_until = min(current.valid_until, overlap_end)
        return self._issue(Family.CLASSIC)

    def check(self, value: str) -> None:
        """Raises Refused unless a call may be made with this token."""
        token = self._all.get(value)
        now = self._clock.now()
        if not value:
            raise Refused(41001)
        if token is None:
            raise Refused(40001 if _SHAPE.fullmatch(value) else 40014)
        if now < token.valid_until and not token.killed:
            return
        raise Refused(42001 if now >= token.expires_at else 40001)

    def kill(self, *, keep_current: bool = False) -> int:
        """Refuse every token from now on; the count of those that worked.

        With `keep_current`, stable_token goes on handing out the killed one until it is forced.
        """
        now = self._clock.now()
        alive = [t for t in self._all.values() if not t.killed and now < t.valid_until]
        for token in alive:
            token.killed = True
        if not keep_current:
            self._current.clear()
        return len(alive)

    def reset(self) -> None:
        self._all.clear()
        self._current.clear()
        self._forced.clear()

    def _may_force(self, now: float) -> bool:
        today = [at for day, at in self._forced if day == self._clock.day()]
        if len(today) >= self._settings.forced_refreshes_per_day:
            return False
        last = self._forced[-1][1] if self._forced else float("-inf")
        return now - last >= self._settings.forced_refresh_gap_seconds

    def _issue(self, family: Family) -> Issued:
        head = f"{60 + len(self._all)}_"
        length = max(self._settings.token_characters - len(head), 20)
        value = head + "".join(self._random.choices(_LETTERS, k=length))
        life = self._settings.token_life_seconds
        expires_at = self._clock.now() + life
        token = Token(value, family, expires_at=expires_at, valid_until=expires_at)
        self._all[value] = self._current[family] = token
        return Issued(value, life, fresh=True)
