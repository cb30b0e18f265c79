"""Finds secrets in logs, whichever way they were written down."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Shorter ones would be found by chance."""


class Finding(NamedTuple):
    """What was found where; never the secret itself, for a test's report is a log too."""

    secret: str
    form: str
    where: str


@dataclass(frozen=True, slots=True)
class LogSearch:
    """`secrets` by name. Raises ValueError for one that is too short to be looked for."""

    secrets: Mapping[str, str]

    def __post_init__(self) -> None:
        short = [name for name, secret in self.secrets.items() if len(secret) < SHORTEST]
        if short or not self.secrets:
            raise ValueError(f"cannot be searched for: {short or 'nothing'}")

    def findings(self, logs: Iterable[tuple[str, str]]) -> list[Finding]:
        """`logs` are (where, text)."""
        needles = [
            (name, form, needle)
            for name, secret in self.secrets.items()
            for form, needle in forms_of(secret)
        ]
        return sorted(
            {
                Finding(name, form, where)
                for where, text in logs
                for name, form, needle in needles
                if needle in text
            }
        )


def forms_of(secret: str) -> Iterator[tuple[str, str]]:
    """(name of the form, text) of the ways in which a secret gets into a log line."""
    yield "as it is", secret
    yield "in JSON", json.dumps(secret)[1:-1]
    yield "in JSON in JSON", json.dumps(json.dumps(secret)[1:-1])[1:-1]
    yield "in Python", repr(secret)[1:-1]
    yield "in Python's bytes", repr(secret.encode())[2:-1]
    yield "in a query", quote(secret, safe="")
    yield "in a form", quote_plus(secret)
    for before in range(3):
        yield "in base64", _inside_base64(secret.encode(), before)


def _inside_base64(secret: bytes, before: int) -> str:
    """What base64 makes of `secret` behind so many other bytes, without what those decide."""
    encoded = base64.b64encode(bytes(before) + secret).decode()
    first = (0, 2, 3)[before]
    # The last one or two characters hang on what comes behind.
    whole = (before + len(secret)) // 3 * 4
    return encoded[first:whole]
