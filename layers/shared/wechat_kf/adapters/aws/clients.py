"""AWS clients with the time limits of their use.

Clients come from botocore's session directly: boto3's resources are not used, and not importing
boto3 shortens the cold start. Region, credentials and endpoint come from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session, get_session


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, seconds without a byte of the answer, and tries in total.

    Before the second try botocore pauses up to 1 s, before the third up to 2 s, and so on.
    """

    connect: float
    read: float
    tries: int


PUSH = Limits(connect=0.5, read=0.8, tries=2)
"""A silent queue costs 0.8 + 1 + 0.8 s at most; with a `PUSH_SECRET` call before it, 3.4 of the
3.5 s that a push may take. A lost answer is harmless: the queue drops the repeat."""

PUSH_SECRET = Limits(connect=0.5, read=0.8, tries=1)
"""While a push waits: the next push tries again, and a secret read before still serves."""

DEFAULT = Limits(connect=1, read=3, tries=4)
"""Tables and queues, behind the HTTP API and behind queues."""

INVOKE = Limits(connect=1, read=6, tries=1)
"""A call of the token function: longer than it takes from a cold start when WeChat answers. When
WeChat is slow it goes on without us, and the next attempt finds its token in the table."""


def push_clients() -> tuple[Any, Any]:
    """SQS and Secrets Manager, within a push's time budget."""
    return make_client("sqs", PUSH), make_client("secretsmanager", PUSH_SECRET)


def dynamodb_client() -> Any:
    """DynamoDB."""
    return make_client("dynamodb", DEFAULT)


def sqs_client() -> Any:
    """SQS, for everyone but the push function."""
    return make_client("sqs", DEFAULT)


def lambda_client() -> Any:
    """Lambda, to invoke the token function."""
    return make_client("lambda", INVOKE)


def secrets_manager_client() -> Any:
    """Secrets Manager, for everyone but the push function."""
    return make_client("secretsmanager", DEFAULT)


def make_client(service: str, limits: Limits) -> Any:
    """A low-level client of `service` (botocore's name of it) that keeps to `limits`."""
    config = Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"mode": "standard", "total_max_attempts": limits.tries},
        tcp_keepalive=True,
    )
    return _session().create_client(service, config=config)


@cache
def _session() -> Session:
    return get_session()
