"""The token's life: read by many, refreshed by one, written only forward."""

import threading
from dataclasses import dataclass, field

import pytest

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.access_token import (
    FORCED_PER_DAY,
    MEMORY_MS,
    AccessToken,
    ForcedRefreshes,
    TokenKeeper,
    TokenProvider,
    fingerprint,
)
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND

NOW = 1_700_000_000_000


@dataclass
class Time:
    now: int = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Row:
    """A token row with a lease, as the table promises it."""

    token: AccessToken | None = None
    lease: tuple[str, int] | None = None
    forced: ForcedRefreshes = field(default_factory=ForcedRefreshes)
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> AccessToken | None:
        self.reads += 1
        return self.token

    def take_lease(self, owner: str, *, now: int, until: int) -> ForcedRefreshes | None:
        with self.lock:
            if self.lease and self.lease[1] > now:
                return None
            self.lease = (owner, until)
            return self.forced

    def record_forced(self, forced: ForcedRefreshes, owner: str) -> bool:
        with self.lock:
            ours = self.lease is not None and self.lease[0] == owner
            self.forced = forced if ours else self.forced
            return ours

    def write(self, token: AccessToken, owner: str) -> bool:
        with self.lock:
            newer = self.token is None or self.token.requested_at < token.requested_at
            if not (self.lease and self.lease[0] == owner and newer):
                return False
            self.token, self.lease = token, None
            return True

    def drop_lease(self, owner: str) -> None:
        with self.lock:
            if self.lease and self.lease[0] == owner:
                self.lease = None


@dataclass
class Issuer:
    """Hands out the same token until forced, as stable_token does."""

    clock: Time
    value: str = "token-1"
    calls: list[bool] = field(default_factory=list)
    forcing_fails: bool = False
    dead: set[str] = field(default_factory=lambda: {"dead"})
    probed: int = 0

    def issue(self, *, force: bool) -> AccessToken:
        self.calls.append(force)
        if force and self.forcing_fails:
            raise UnavailableError("busy")
        if force:
            self.value = f"forced-{len(self.calls)}"
        return AccessToken(self.value, self.clock.now, self.clock.now + 2 * HOUR)

    def accepts(self, token: AccessToken) -> bool:
        self.probed += 1
        return token.value not in self.dead


def keeper(row: Row, issuer: Issuer, clock: Time, owner: str = "me") -> TokenKeeper:
    def pause(seconds: float) -> None:
        clock.now += int(seconds * 1000)

    return TokenKeeper(row, issuer, clock, owner, pause=pause)


def test_a_cold_row_costs_one_call_and_a_warm_one_none() -> None:
    clock, row = Time(), Row()
    issuer = Issuer(clock)
    for _ in range(3):
        keeper(row, issuer, clock).refresh()
    assert issuer.calls == [False]
    assert row.token is not None
    assert row.lease is None


def test_the_schedule_renews_a_token_in_its_last_minutes_and_leaves_it_before() -> None:
    clock = Time()
    row = Row(AccessToken("old", NOW, NOW + HOUR))
    issuer = Issuer(clock, value="new")
    keeper(row, issuer, clock).refresh(warm_up=True)
    assert issuer.calls == []
    clock.now += HOUR - MINUTE
    keeper(row, issuer, clock).refresh(warm_up=True)
    assert issuer.calls == [False]
    assert row.token is not None
    assert row.token.value == "new"


def test_a_refused_token_that_was_replaced_already_costs_no_call() -> None:
    clock = Time()
    row = Row(AccessToken("newer", NOW, NOW + HOUR))
    issuer = Issuer(clock)
    keeper(row, issuer, clock).refresh(fingerprint("older"))
    assert issuer.calls == []


def test_a_dead_token_handed_out_again_is_forced_once() -> None:
    clock = Time()
    row = Row(AccessToken("dead", NOW - HOUR, NOW + HOUR))
    issuer = Issuer(clock, value="dead")
    keeper(row, issuer, clock).refresh(fingerprint("dead"))
    assert issuer.calls == [False, True]
    assert row.token is not None
    assert row.token.value == "forced-2"


def test_forcing_is_capped_per_day_and_spaced() -> None:
    full = ForcedRefreshes(day=NOW // DAY, count=FORCED_PER_DAY, at=NOW - HOUR)
    assert not full.allowed(NOW)
    assert full.allowed(NOW + DAY)
    assert not ForcedRefreshes(day=NOW // DAY, count=1, at=NOW - SECOND).allowed(NOW)
    clock = Time()
    row = Row(AccessToken("dead", NOW - HOUR, NOW + HOUR), forced=full)
    issuer = Issuer(clock, value="dead")
    with pytest.raises(UnavailableError):
        keeper(row, issuer, clock).refresh(fingerprint("dead"))
    assert issuer.calls == [False]
    assert row.lease is None


def test_a_forced_call_that_fails_counts_too() -> None:
    clock = Time()
    row = Row(AccessToken("dead", NOW - HOUR, NOW + HOUR))
    issuer = Issuer(clock, value="dead", forcing_fails=True)
    for _ in range(30):
        with pytest.raises(UnavailableError):
            keeper(row, issuer, clock).refresh(fingerprint("dead"))
        clock.now += SECOND
    assert issuer.calls.count(True) == 1
    assert row.lease is None


def test_whoever_loses_the_lease_waits_for_the_winner_and_calls_nothing() -> None:
    clock = Time()
    row = Row(lease=("other", NOW + 2 * SECOND))
    issuer = Issuer(clock)

    def pause(seconds: float) -> None:
        clock.now += int(seconds * 1000)
        if clock.now - NOW >= SECOND:
            row.token = AccessToken("theirs", clock.now, clock.now + HOUR)

    TokenKeeper(row, issuer, clock, "me", pause=pause).refresh()
    assert issuer.calls == []


def test_a_lease_whose_owner_vanished_is_taken_over() -> None:
    clock = Time()
    row = Row(lease=("dead worker", NOW + 2 * SECOND))
    issuer = Issuer(clock)
    keeper(row, issuer, clock).refresh()
    assert issuer.calls == [False]


def test_waiting_has_an_end() -> None:
    clock = Time()
    row = Row(lease=("other", NOW + HOUR))
    with pytest.raises(UnavailableError):
        keeper(row, Issuer(clock), clock).refresh()


def test_a_failing_issuer_frees_the_lease() -> None:
    class Broken(Issuer):
        def issue(self, *, force: bool) -> AccessToken:
            raise UnavailableError("down")

    clock, row = Time(), Row()
    with pytest.raises(UnavailableError):
        keeper(row, Broken(clock), clock).refresh()
    assert row.lease is None


def test_a_slow_refresher_never_overwrites_a_newer_token() -> None:
    clock = Time()
    row = Row()

    class Slow(Issuer):
        def issue(self, *, force: bool) -> AccessToken:
            mine = super().issue(force=force)
            # Meanwhile our lease ran out, another worker took over and wrote a newer token.
            row.lease = None
            row.token = AccessToken("newer", NOW + SECOND, NOW + 3 * HOUR)
            return mine

    keeper(row, Slow(clock, value="older"), clock).refresh()
    assert row.token is not None
    assert row.token.value == "newer"


class Refresher:
    """Writes the next token into the row, as the token function would."""

    def __init__(self, row: Row, clock: Time, *values: str) -> None:
        self.row, self.clock, self.values = row, clock, list(values)
        self.asked: list[str | None] = []

    def refresh(self, refused: str | None) -> None:
        self.asked.append(refused)
        self.row.token = AccessToken(self.values.pop(0), self.clock.now, self.clock.now + 2 * HOUR)


def test_a_worker_reads_the_row_once_a_minute_at_most() -> None:
    clock = Time()
    row = Row(AccessToken("t", NOW, NOW + HOUR))
    provider = TokenProvider(row, Refresher(row, clock), clock)
    assert [provider.current() for _ in range(5)] == ["t"] * 5
    assert row.reads == 1
    clock.now += MEMORY_MS
    provider.current()
    assert row.reads == 2


def test_a_worker_asks_the_refresher_when_there_is_no_usable_token() -> None:
    clock = Time()
    row = Row(AccessToken("stale", NOW - 2 * HOUR, NOW))
    refresher = Refresher(row, clock, "fresh")
    assert TokenProvider(row, refresher, clock).current() == "fresh"
    assert refresher.asked == [None]


def test_a_refused_token_is_first_looked_up_again() -> None:
    clock = Time()
    row = Row(AccessToken("newer", NOW, NOW + HOUR))
    refresher = Refresher(row, clock)
    assert TokenProvider(row, refresher, clock).refused("older") == "newer"
    assert refresher.asked == []


def test_a_refused_token_that_is_still_in_the_row_is_reported_by_fingerprint() -> None:
    clock = Time()
    row = Row(AccessToken("dead", NOW, NOW + HOUR))
    refresher = Refresher(row, clock, "fresh")
    assert TokenProvider(row, refresher, clock).refused("dead") == "fresh"
    assert refresher.asked == [fingerprint("dead")]


def test_the_same_token_again_means_that_it_is_not_at_fault() -> None:
    clock = Time()
    row = Row(AccessToken("good", NOW, NOW + HOUR))
    assert TokenProvider(row, Refresher(row, clock, "good"), clock).refused("good") == "good"


@pytest.mark.parametrize("left", [AccessToken("old", NOW - HOUR, NOW), None])
def test_no_usable_token_is_said_clearly(left: AccessToken | None) -> None:
    class Idle(Refresher):
        def refresh(self, refused: str | None) -> None:
            self.row.token = left

    clock = Time()
    row = Row(AccessToken("dead", NOW, NOW + HOUR))
    with pytest.raises(UnavailableError):
        TokenProvider(row, Idle(row, clock), clock).refused("dead")


def test_a_message_that_is_always_refused_costs_no_token() -> None:
    # Given a token that WeChat takes for everything but this message
    clock = Time()
    row = Row(AccessToken("token-1", NOW - HOUR, NOW + HOUR))
    issuer = Issuer(clock)
    provider = TokenProvider(row, keeper(row, issuer, clock), clock)

    # When it is refused again and again
    for _ in range(30):
        assert provider.refused("token-1") == "token-1"
        clock.now += MINUTE

    # Then no good token was killed, and a dead one can still be replaced
    assert issuer.calls.count(True) == 0
    assert row.forced == ForcedRefreshes()
    issuer.dead.add("token-1")
    assert provider.refused("token-1").startswith("forced-")
    assert row.lease is None


def test_a_token_that_was_replaced_meanwhile_is_not_tried_out() -> None:
    clock = Time()
    row = Row(AccessToken("old", NOW - HOUR, NOW + HOUR))
    issuer = Issuer(clock, value="new")
    keeper(row, issuer, clock).refresh(fingerprint("old"))
    assert (issuer.calls, issuer.probed) == ([False], 0)


def test_what_cannot_be_tried_out_is_not_forced() -> None:
    class Busy(Issuer):
        def accepts(self, token: AccessToken) -> bool:
            raise UnavailableError("busy")

    clock = Time()
    row = Row(AccessToken("dead", NOW - HOUR, NOW + HOUR))
    issuer = Busy(clock, value="dead")
    with pytest.raises(UnavailableError):
        keeper(row, issuer, clock).refresh(fingerprint("dead"))
    assert issuer.calls == [False]
    assert row.lease is None


def test_a_token_that_could_not_be_written_is_not_reported_as_refreshed() -> None:
    class TakenOver(Issuer):
        def issue(self, *, force: bool) -> AccessToken:
            row.lease = ("other", NOW + HOUR)
            return super().issue(force=force)

    clock, row = Time(), Row()
    with pytest.raises(UnavailableError):
        keeper(row, TakenOver(clock), clock).refresh()
    assert row.token is None


def test_no_repr_shows_a_token() -> None:
    assert "hunter2" not in repr(AccessToken("hunter2", 1, 2))


def test_a_day_has_five_forced_refreshes_and_the_next_begins_at_none() -> None:
    clock = Time()
    row = Row(AccessToken("dead-0", NOW - HOUR, NOW + 2 * DAY))

    class Doomed(Issuer):
        def accepts(self, token: AccessToken) -> bool:
            return False

    issuer = Doomed(clock, value="dead-0")

    def force() -> None:
        clock.now += MINUTE
        assert row.token is not None
        issuer.value = row.token.value
        keeper(row, issuer, clock).refresh(row.token.fingerprint)

    for _ in range(5):
        force()
    assert row.forced == ForcedRefreshes(day=NOW // DAY, count=5, at=clock.now)
    with pytest.raises(UnavailableError, match="not forced again yet"):
        force()
    clock.now += DAY
    force()
    assert row.forced == ForcedRefreshes(day=NOW // DAY + 1, count=1, at=clock.now)


def test_a_token_is_not_used_in_its_last_half_minute() -> None:
    token = AccessToken("t", NOW, NOW + HOUR)
    assert token.usable(NOW + HOUR - 30 * SECOND - 1)
    assert not token.usable(NOW + HOUR - 30 * SECOND)


def test_a_lease_is_held_for_fifteen_seconds_and_waited_for_for_ten() -> None:
    clock = Time()
    row = Row(lease=("other", NOW + HOUR))
    with pytest.raises(UnavailableError):
        keeper(row, Issuer(clock), clock).refresh()
    assert clock.now - NOW == 10 * SECOND

    class Watched(Issuer):
        def issue(self, *, force: bool) -> AccessToken:
            assert row.lease == ("me", self.clock.now + 15 * SECOND)
            return super().issue(force=force)

    row.lease = None
    keeper(row, Watched(clock), clock).refresh()


def test_a_token_that_is_not_at_fault_is_not_written_again() -> None:
    clock = Time()
    held = AccessToken("token-1", NOW - HOUR, NOW + HOUR)
    row = Row(held)
    keeper(row, Issuer(clock), clock).refresh(fingerprint("token-1"))
    assert row.token is held
    assert row.lease is None
