"""The benchmarks' stand-ins for AWS and WeChat know every call that a function makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks import growth
from benchmarks.invocations import Context, event_for, in_a_process, load_handler
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
    first, last, cold = growth.measure(name, few=10, many=30, cold=2)
    return first.calls, last.calls, cold
