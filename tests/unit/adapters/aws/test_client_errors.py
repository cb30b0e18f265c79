"""What AWS's refusals are to callers and queues: to be repeated, or never."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)

from wechat_kf.adapters.aws.client_errors import as_unavailable, is_wrong_request
from wechat_kf.app_errors import AppError, UnavailableError, UnexpectedError


def client_error(code: str, **answer: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "您好"}, **answer}
    return ClientError(response, "PutItem")


def translate(error: Exception) -> AppError:
    with pytest.raises(AppError) as caught, as_unavailable("DynamoDB"):
        raise error
    assert "您好" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "InternalServerError",
        "ServiceUnavailable",
        "RequestLimitExceeded",
        "AccessDeniedException",
        "ResourceNotFoundException",
        "AWS.SimpleQueueService.NonExistentQueue",
        "KMS.AccessDeniedException",
        "TransactionCanceledException",
        "",
    ],
)
def test_what_may_pass_or_be_put_right_is_unavailable(code: str) -> None:
    error = translate(client_error(code))
    assert type(error) is UnavailableError
    assert error.transient


@pytest.mark.parametrize(
    "code",
    [
        "ValidationException",
        "SerializationException",
        "ItemCollectionSizeLimitExceededException",
        "InvalidMessageContents",
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "RequestTooLargeException",
    ],
)
def test_what_aws_never_accepts_is_not_to_be_repeated(code: str) -> None:
    error = translate(client_error(code))
    assert (type(error), error.code, error.status) == (UnexpectedError, "internal_error", 500)
    assert not error.transient
    assert code in error.detail


def test_one_wrong_write_makes_a_transaction_wrong() -> None:
    reasons = [{"Code": "None"}, {"Code": "ValidationError", "Message": "too large"}]
    cancelled = client_error("TransactionCanceledException", CancellationReasons=reasons)
    assert is_wrong_request(cancelled)
    assert type(translate(cancelled)) is UnexpectedError


def test_a_conflict_of_transactions_is_no_wrong_request() -> None:
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    cancelled = client_error("TransactionCanceledException", CancellationReasons=reasons)
    assert not is_wrong_request(cancelled)


def test_a_wrong_parameter_is_not_quoted_even_in_the_cause() -> None:
    error = translate(ParamValidationError(report="Invalid type for Item, value: 您好"))
    assert type(error) is UnexpectedError
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        EndpointConnectionError(endpoint_url="https://x"),
    ],
)
def test_no_answer_is_unavailable(error: Exception) -> None:
    assert type(translate(error)) is UnavailableError


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), as_unavailable("DynamoDB"):
        raise KeyError("name")
