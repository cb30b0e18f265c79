"""The clients' time limits, and what a failing table looks like to its callers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wechat_kf.adapters.aws import clients
from wechat_kf.adapters.aws.clients import PUSH, PUSH_SECRET, Limits, make_client
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.app_errors import UnavailableError

BACKOFF_SECONDS = 1.0  # botocore's longest pause before the second try


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def fake_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")


def test_what_a_push_may_take_is_within_its_budget() -> None:
    assert PUSH.tries == 2
    queue = PUSH.tries * PUSH.read + BACKOFF_SECONDS
    secret = PUSH_SECRET.tries * PUSH_SECRET.read
    assert queue + secret <= 3.5


@pytest.mark.parametrize(
    ("make", "limits"),
    [
        (lambda: clients.push_clients()[0], clients.PUSH),
        (lambda: clients.push_clients()[1], clients.PUSH_SECRET),
        (clients.dynamodb_client, clients.DEFAULT),
        (clients.sqs_client, clients.DEFAULT),
        (clients.secrets_manager_client, clients.DEFAULT),
        (clients.lambda_client, clients.INVOKE),
    ],
)
def test_every_client_has_limits_of_its_own(make: Callable[[], Any], limits: Limits) -> None:
    config = make().meta.config
    assert (config.connect_timeout, config.read_timeout) == (limits.connect, limits.read)
    assert config.retries == {"mode": "standard", "total_max_attempts": limits.tries}


def test_a_table_that_does_not_answer_is_unavailable(
    silent_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", silent_endpoint)
    table = ConversationsTable(make_client("dynamodb", Limits(0.1, 0.1, 1)), "none")
    calls: list[Callable[[], object]] = [
        lambda: table.get("42", "buyer"),
        lambda: table.record_message("42", "buyer", 1),
        lambda: table.recent("42", limit=1, cursor=None),
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match="DynamoDB did not answer"):
            call()


def test_a_table_that_is_not_there_is_unavailable(dynamodb: Any) -> None:
    with pytest.raises(UnavailableError, match="ResourceNotFoundException"):
        ConversationsTable(dynamodb, "none").record_message("42", "buyer", 1)
