"""What of AWS's failures the rest of the house gets to see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.errors import UnavailableError


@contextmanager
def as_unavailable(service: str) -> Iterator[None]:
    """Turn any botocore failure into `UnavailableError` that names `service` and the error code.

    The original stays its cause, for the log; AWS does not repeat request bodies in its errors.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise UnavailableError(f"{service} refused the call ({code})") from error
    except BotoCoreError as error:
        raise UnavailableError(f"{service} did not answer ({type(error).__name__})") from error
