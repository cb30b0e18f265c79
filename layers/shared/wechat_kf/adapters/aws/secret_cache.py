"""A secret of Secrets Manager, kept in memory for a while."""

from __future__ import annotations

import json
import logging
from typing import Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import Clock

REFRESH_PAUSE_MS = 5_000
"""Neither a failing Secrets Manager nor a flood of forged pushes causes calls more often than this.

WeChat pushes three times within 15 s: one of them comes when a look is allowed."""

_logger = logging.getLogger(__name__)


class SecretCache:
    """A JSON secret, at most `ttl_ms` old, and older only while Secrets Manager fails.

    A secret that is no JSON object has no members.
    """

    def __init__(self, client: Any, arn: str, clock: Clock, ttl_ms: int = 300_000) -> None:
        self._client = client
        self._arn = arn
        self._clock = clock
        self._ttl_ms = ttl_ms
        self._held: dict[str, str] | None = None
        self._read_at = 0
        self._next_look_at = 0

    def get(self) -> dict[str, str]:
        """Return the members. Raise `UnavailableError` when they could never be read."""
        if self._held is None:
            self._held = self._read()
        elif self._clock() - self._read_at >= self._ttl_ms:
            try:
                self.refresh_now()
            except UnavailableError as error:
                _logger.warning("secret not refreshed", extra={"reason": error.detail})
        return self._held

    def refresh_now(self) -> bool:
        """Read the secret again, because it may have been rotated; return whether it changed.

        It has not when it was read a moment ago. Raises `UnavailableError` when Secrets Manager
        fails, or failed a moment ago.
        """
        if self._clock() < self._next_look_at:
            if self._read_at + REFRESH_PAUSE_MS == self._next_look_at:
                return False
            raise UnavailableError("Secrets Manager failed a moment ago")
        before, self._held = self._held, self._read()
        return self._held != before

    def _read(self) -> dict[str, str]:
        now = self._clock()
        self._next_look_at = now + REFRESH_PAUSE_MS
        members = _members(_fetch(self._client, self._arn)) or {}
        self._read_at = now
        return members


def read_secret(client: Any, arn: str) -> dict[str, str]:
    """Return the members of a JSON secret, as of now. Raise `UnavailableError`."""
    members = _members(_fetch(client, arn))
    if members is None:
        raise UnavailableError("the secret is not a JSON object")
    return members


def _fetch(client: Any, arn: str) -> str:
    with as_unavailable("Secrets Manager"):
        answer = client.get_secret_value(SecretId=arn)
    return str(answer.get("SecretString", ""))


def _members(text: str) -> dict[str, str] | None:
    """Return the members without the blanks that pasting leaves around them."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    return {str(name): str(value).strip() for name, value in document.items()}
