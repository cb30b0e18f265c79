"""The benchmarks' stand-ins for AWS and WeChat know every call that a function makes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from benchmarks import growth
from benchmarks.invocations import Context, event_for, load_handler
from benchmarks.loopback import loopback
from benchmarks.template_environment import function_names


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with loopback() as address:
        yield address


@pytest.mark.parametrize("name", function_names())
def test_a_warm_function_is_answered(name: str, origin: str) -> None:
    in_a_process(_invoke, name, origin)


def _invoke(name: str, origin: str) -> None:
    load_handler(name, origin)(event_for(name), Context())


@pytest.mark.parametrize("name", growth.FUNCTIONS)
def test_a_growing_function_is_answered(name: str) -> None:
    assert min(in_a_process(_grow, name)) > 0  # how many: a slow machine's caches expire


def _grow(name: str) -> tuple[float, float, float]:
    growth.FEW, growth.MANY, growth.COLD = 10, 30, 2
    few, many, cold = growth._measure(name)
    return few.calls, many.calls, cold


def in_a_process(function: Any, *arguments: str) -> Any:
    """Settings are taken when a function is imported, so each gets an interpreter of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()
