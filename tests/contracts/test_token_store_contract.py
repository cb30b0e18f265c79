"""What every `TokenStore` does, and the race for a token on the real table."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts import token_race
from tests.contracts.aws_resources import Resources
from tests.fakes import FakeClock, InMemoryTokens
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.domain.access_token import AccessToken, ForcedRefreshes, TokenKeeper, TokenStore
from wechat_kf.domain.clock import HOUR, SECOND
from wechat_kf_local.emulator import REGION, Emulator

NOW = FakeClock().now
NONE = ForcedRefreshes()
TOKEN = AccessToken("token-1", NOW, NOW + 2 * HOUR)
NEWER = AccessToken("token-2", NOW + 1, NOW + 2 * HOUR)


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> TokenStore:
    if request.param == "fake":
        return InMemoryTokens()
    resources: Resources = request.getfixturevalue("resources")
    return TokensTable(resources.dynamodb, resources.table("TokensTable"), token_race.APP_ID)


def lease(store: TokenStore, owner: str, now: int = NOW) -> ForcedRefreshes | None:
    return store.take_lease(owner, now=now, until=now + 15 * SECOND)


def test_a_new_row_has_no_token_even_under_a_lease(store: TokenStore) -> None:
    assert store.read() is None
    assert lease(store, "a") == NONE
    assert store.read() is None


def test_a_token_written_under_a_lease_is_read_and_ends_the_lease(store: TokenStore) -> None:
    lease(store, "a")
    assert store.write(TOKEN, "a") is True
    assert store.read() == TOKEN
    assert lease(store, "b") == NONE


def test_a_lease_keeps_others_out_until_its_end(store: TokenStore) -> None:
    assert lease(store, "a") == NONE
    assert lease(store, "b", NOW + 15 * SECOND - 1) is None
    assert lease(store, "b", NOW + 15 * SECOND) == NONE
    assert lease(store, "a", NOW + 16 * SECOND) is None


def test_taking_our_own_lease_again_is_a_repeat(store: TokenStore) -> None:
    lease(store, "a")
    assert lease(store, "a") == NONE


def test_only_the_holder_can_end_a_lease(store: TokenStore) -> None:
    lease(store, "a")
    store.drop_lease("b")
    assert lease(store, "b") is None
    store.drop_lease("a")
    assert lease(store, "b") == NONE


def test_dropping_a_lease_leaves_the_token(store: TokenStore) -> None:
    lease(store, "a")
    store.write(TOKEN, "a")
    lease(store, "a")
    store.drop_lease("a")
    assert store.read() == TOKEN


def test_nothing_is_written_without_the_lease(store: TokenStore) -> None:
    assert store.write(TOKEN, "a") is False
    lease(store, "b")
    assert store.write(TOKEN, "a") is False
    assert store.read() is None
    assert store.write(TOKEN, "b") is True


@pytest.mark.parametrize("late", [TOKEN, NEWER], ids=["older", "same"])
def test_a_slow_refresher_never_overwrites_a_newer_token(
    store: TokenStore, late: AccessToken
) -> None:
    lease(store, "slow")
    assert lease(store, "fast", NOW + 20 * SECOND) == NONE
    assert store.write(NEWER, "fast") is True
    assert store.write(late, "slow") is False
    # Not even when it has the lease again.
    assert lease(store, "slow", NOW + 20 * SECOND) == NONE
    assert store.write(late, "slow") is False
    assert store.read() == NEWER


def test_forced_refreshes_are_remembered(store: TokenStore) -> None:
    forced = ForcedRefreshes(day=20_454, count=2, at=NOW)
    lease(store, "a")
    assert store.record_forced(forced, "a") is True
    store.write(TOKEN, "a")
    assert lease(store, "b") == forced


def test_forced_refreshes_are_counted_even_when_no_token_comes(store: TokenStore) -> None:
    forced = ForcedRefreshes(day=20_454, count=2, at=NOW)
    lease(store, "a")
    store.record_forced(forced, "a")
    store.drop_lease("a")
    assert lease(store, "b") == forced


def test_only_the_holder_of_the_lease_may_force(store: TokenStore) -> None:
    lease(store, "a")
    assert store.record_forced(ForcedRefreshes(day=1, count=1, at=NOW), "b") is False
    store.drop_lease("a")
    assert lease(store, "b") == NONE


def test_a_keeper_that_fails_leaves_the_lease_to_the_next(store: TokenStore) -> None:
    class FailingIssuer:
        def issue(self, *, force: bool) -> AccessToken:
            raise OSError("no route")

        def accepts(self, token: AccessToken) -> bool:
            raise OSError("no route")

    keeper = TokenKeeper(store, FailingIssuer(), FakeClock(), owner="a")
    with pytest.raises(OSError, match="no route"):
        keeper.refresh()
    assert lease(store, "b") == NONE


def test_eight_processes_with_no_token_make_one_call_and_share_its_token(
    emulator: Emulator, resources: Resources, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    race = token_race.Race(
        client={
            "endpoint_url": emulator.url,
            "region_name": REGION,
            "aws_access_key_id": emulator.access_key_id,
            "aws_secret_access_key": emulator.secret_access_key,
        },
        table_name=resources.table("TokensTable"),
        calls=str(tmp_path / "calls"),
    )
    start: Any = context.Barrier(8)
    results: Any = context.Queue()
    processes = [
        context.Process(target=token_race.run, args=(race, start, results)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    tokens = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(10)
    assert len(set(tokens)) == 1
    assert Path(race.calls).read_text().count("\n") == 1
