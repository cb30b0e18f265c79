"""A secret of Secrets Manager, kept in memory for a while."""

from __future__ import annotations

import json
import logging
from typing import Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.domain.clock import Clock
from wechat_kf.errors import UnavailableError

REFRESH_PAUSE_MS = 30_000
"""Neither a failing Secrets Manager nor a flood of forged pushes is asked more often than this."""

_logger = logging.getLogger(__name__)


class SecretCache:
    """A JSON secret, at most `ttl_ms` old, and older only while Secrets Manager fails."""

    def __init__(self, client: Any, arn: str, clock: Clock, ttl_ms: int = 300_000) -> None:
        self._client = client
        self._arn = arn
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._held: dict[str, str] | None = None
        self._read_at = 0
        self._asked_at: int | None = None

    def get(self) -> dict[str, str]:
        """The secret's members. Raises `UnavailableError` when it could never be read."""
        if self._held is None:
            self._held = self._read()
        elif self._clock() - self._read_at >= self._ttl_ms:
            self._refresh()
        return self._held

    def refresh_now(self) -> bool:
        """Read the secret again, because it may just have been rotated: whether it has changed.

        False, and the copy we have stays, when that was tried less than 30 s ago or fails.
        """
        before = self._held
        self._refresh()
        return self._held != before

    def _refresh(self) -> None:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < REFRESH_PAUSE_MS:
            return
        try:
            self._held = self._read()
        except UnavailableError as error:
            _logger.warning("secret not refreshed", extra={"reason": error.detail})

    def _read(self) -> dict[str, str]:
        self._asked_at = self._clock()
        secret = read_secret(self._client, self._arn)
        self._read_at = self._asked_at
        return secret


def read_secret(client: Any, arn: str) -> dict[str, str]:
    """Return the members of a JSON secret, as of now, without blanks around the values.

    Raises `UnavailableError`.
    """
    with as_unavailable("Secrets Manager"):
        answer = client.get_secret_value(SecretId=arn)
    try:
        document = json.loads(answer.get("SecretString", ""))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnavailableError("the secret is not a JSON object")
    return {str(name): str(value).strip() for name, value in document.items()}
