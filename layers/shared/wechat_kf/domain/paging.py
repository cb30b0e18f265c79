"""A page of a list, and where the next one starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_cursor` is opaque to all but the store that made it; None on the last page."""

    items: Sequence[T]
    next_cursor: str | None = None
