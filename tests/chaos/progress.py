"""A sign of life now and then while a storm goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[str], None]

EVERY_SECONDS = 15.0


def silently(_text: str) -> None:
    """For whoever runs a storm without looking on."""


@contextmanager
def telling(tell: Tell, state: Callable[[], str]) -> Iterator[None]:
    """Tell the `state` every quarter of a minute while the block runs, and once at its end."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(EVERY_SECONDS):
            tell(state())
        tell(state())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
