"""AWS clients with the time limits of their use.

Region, credentials and endpoint come from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds to connect, seconds to wait for the next byte of the answer, and tries in total.

    Before the second try boto3 pauses up to 1 s, before the third up to 2 s, and so on.
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
"""Tables and queues, in functions behind the HTTP API and behind queues."""

INVOKE = Limits(connect=1, read=6, tries=1)
"""A call of the token function: longer than its cold start and WeChat's usual answer take. When
WeChat is slow the function goes on alone, and the next attempt finds its token in the table."""


def push_clients() -> tuple[SQSClient, SecretsManagerClient]:
    """Make clients of SQS and Secrets Manager that keep to a push's time budget."""
    return (
        boto3.client("sqs", config=_config(PUSH)),
        boto3.client("secretsmanager", config=_config(PUSH_SECRET)),
    )


def dynamodb_client() -> DynamoDBClient:
    """Make a client of DynamoDB."""
    return boto3.client("dynamodb", config=_config(DEFAULT))


def sqs_client() -> SQSClient:
    """Make a client of SQS, for every function but `push`."""
    return boto3.client("sqs", config=_config(DEFAULT))


def lambda_client() -> LambdaClient:
    """Make a client of Lambda that invokes the token function."""
    return boto3.client("lambda", config=_config(INVOKE))


def secrets_manager_client() -> SecretsManagerClient:
    """Make a client of Secrets Manager, for every function but `push`."""
    return boto3.client("secretsmanager", config=_config(DEFAULT))


def make_client(service: str, limits: Limits) -> Any:
    """Make a client of any `service` (boto3's name of it) that keeps to `limits`."""
    return boto3.client(service, config=_config(limits))  # type: ignore[call-overload]


def _config(limits: Limits) -> Config:
    return Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"mode": "standard", "total_max_attempts": limits.tries},
        tcp_keepalive=True,
    )
