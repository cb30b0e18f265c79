"""Translate botocore errors into `UnavailableError`."""

from __future__ import annotations

from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.errors import UnavailableError


class as_unavailable:  # noqa: N801 - a context manager, read as one: `with as_unavailable("SQS"):`
    """Turn any botocore failure into `UnavailableError` that names `service` and the error code.

    The original stays its cause, for the log; AWS does not repeat request bodies in its errors.
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
            raise UnavailableError(f"{self._service} refused the call ({code})") from error
        if isinstance(error, BotoCoreError):
            name = type(error).__name__
            raise UnavailableError(f"{self._service} did not answer ({name})") from error
