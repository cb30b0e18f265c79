"""Counts the calls that go through a client: for promises about how many there are."""

from __future__ import annotations

from collections import Counter
from typing import Any


class CountingClient:
    """A client that counts the calls of each operation in `calls`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def counted(**request: Any) -> Any:
            self.calls[operation] += 1
            return call(**request)

        return counted
