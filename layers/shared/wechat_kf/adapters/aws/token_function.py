"""The token function, as workers call it."""

from __future__ import annotations

import json
from typing import Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.errors import UnavailableError


class TokenFunction:
    """Implements `TokenRefresher` by a synchronous invocation.

    The token itself does not travel this way: it is read from the table afterwards.
    """

    def __init__(self, client: Any, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

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
