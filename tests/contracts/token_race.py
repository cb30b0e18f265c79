"""One of several processes that want a token at the same moment: a module, to be spawned."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from botocore.session import get_session

from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.domain.access_token import AccessToken, TokenKeeper, TokenProvider
from wechat_kf.domain.clock import HOUR, now_ms

APP_ID = "wx0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Race:
    """Where the race is run. `calls` is a file that gets a line per token call."""

    client: dict[str, Any]
    table_name: str
    calls: str


@dataclass(frozen=True, slots=True)
class SlowIssuer:
    """WeChat's stable_token, slow enough for everybody to arrive while it answers."""

    calls: str

    def issue(self, *, force: bool) -> AccessToken:
        requested_at = now_ms()
        with open(self.calls, "a") as calls:
            calls.write(f"{os.getpid()} {force}\n")
        time.sleep(0.3)
        return AccessToken(f"token-of-{os.getpid()}", requested_at, requested_at + 2 * HOUR)

    def accepts(self, token: AccessToken) -> bool:
        raise AssertionError("no token was refused")


def run(race: Race, start: Any, results: Any) -> None:
    """Wait for the others, then get a token as a worker does."""
    client = get_session().create_client("dynamodb", **race.client)
    table = TokensTable(client, race.table_name, APP_ID)
    keeper = TokenKeeper(table, SlowIssuer(race.calls), now_ms, owner=f"process-{os.getpid()}")
    start.wait()
    results.put(TokenProvider(table, keeper, now_ms).current())
