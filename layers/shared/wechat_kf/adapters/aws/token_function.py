"""The token function, as workers call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.app_errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


class TokenFunction:
    """Implements `TokenRefresher` by a synchronous invocation.

    The token itself does not travel this way: it is read from the table afterwards. The client of
    Lambda is made for the first call, since a worker rarely finds the table without a token.
    """

    def __init__(self, make_client: Callable[[], LambdaClient], function_name: str) -> None:
        self._make_client = make_client
        self._function_name = function_name

    @cached_property
    def _client(self) -> LambdaClient:
        return self._make_client()

    def refresh(self, refused: str | None) -> None:
        with as_unavailable("Lambda"):
            answer = self._client.invoke(
                FunctionName=self._function_name,
                InvocationType="RequestResponse",
                Payload=json.dumps({"refused": refused}).encode(),
            )
            payload = answer["Payload"].read()
        if "FunctionError" in answer or not _is_ok(payload):
            raise UnavailableError("the token function could not provide a token")


def _is_ok(payload: bytes) -> bool:
    try:
        answer = json.loads(payload)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("ok") is True
