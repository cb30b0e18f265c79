"""The benchmarks' stand-in for AWS knows every call that a function makes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from benchmarks.invocations import Context, event_for, load_handler
from benchmarks.loopback import loopback
from benchmarks.template_environment import function_names


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with loopback() as address:
        yield address


@pytest.mark.parametrize("name", function_names())
def test_a_function_is_answered(name: str, origin: str) -> None:
    spawn = multiprocessing.get_context("spawn")  # a function takes its settings when imported
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        pool.submit(_invoke, name, origin).result()


def _invoke(name: str, origin: str) -> None:
    load_handler(name, origin)(event_for(name), Context())
