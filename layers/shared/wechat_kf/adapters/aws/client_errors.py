"""Translate botocore errors into our own."""

from __future__ import annotations

from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from wechat_kf.app_errors import UnavailableError, UnexpectedError

_WRONG_REQUESTS = frozenset(
    {
        "ValidationException",  # DynamoDB: an item too large, a key empty or too long
        "ValidationError",  # the same, as the reason of a cancelled transaction
        "SerializationException",
        "ItemCollectionSizeLimitExceededException",
        "InvalidMessageContents",  # SQS
        "InvalidParameterValue",
        "InvalidParameterValueException",
        "AWS.SimpleQueueService.BatchRequestTooLong",
        "RequestTooLargeException",  # Lambda
    }
)
"""Codes of requests that AWS will never accept, whenever they are repeated. Not those of a wrong
deployment, which an operator puts right while the work waits."""


class as_unavailable:  # noqa: N801 - a context manager, read as one: `with as_unavailable("SQS"):`
    """Turn any botocore failure into `UnavailableError` that names `service` and the error code.

    A request that AWS will never accept is an `UnexpectedError`: nobody is asked to repeat it. The
    original stays its cause, for the log; AWS does not repeat request bodies in its errors.
    """

    # Not a generator under `contextmanager`, which takes several times as long: pushes pass here.
    __slots__ = ("_service",)

    def __init__(self, service: str) -> None:
        self._service = service

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "unknown")
            kind = UnexpectedError if is_wrong_request(error) else UnavailableError
            raise kind(f"{self._service} refused the call ({code})") from error
        if isinstance(error, ParamValidationError):
            # Its message quotes the values, so it is no cause.
            raise UnexpectedError(f"{self._service} was called with a wrong parameter") from None
        if isinstance(error, BotoCoreError):
            name = type(error).__name__
            raise UnavailableError(f"{self._service} did not answer ({name})") from error


def is_wrong_request(error: ClientError) -> bool:
    """Whether AWS will never accept this request; of a transaction, one of its writes."""
    reasons = error.response.get("CancellationReasons", [])
    codes = {reason.get("Code") for reason in (error.response.get("Error", {}), *reasons)}
    return not codes.isdisjoint(_WRONG_REQUESTS)
