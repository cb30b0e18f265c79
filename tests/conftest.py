"""What holds for all tests: no pauses for garbage, and the same examples every time."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import boto3
import pytest
from hypothesis import settings

# Without a namespace Powertools refuses to write a metric, and with it whatever counts one fails.
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "test")

# The same examples in every run, whatever they take: looking for new ones is what `make fuzz` does.
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile("ci")


def pytest_collection_finish() -> None:
    """Keep full garbage collections out of the tests.

    With all the modules and tests loaded, each one stops the process, and the servers in it, for
    0.3 s, and longer on a busy machine; many a limit that is tested here is shorter.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1000)


@pytest.fixture(scope="module")
def aws_session() -> Iterator[None]:
    """One boto3 session for a module's tests: it takes long to make, and belongs to nobody else.

    It reads the environment's regions and endpoints for every client, its credentials only once.
    """
    boto3.DEFAULT_SESSION = None
    yield
    boto3.DEFAULT_SESSION = None
