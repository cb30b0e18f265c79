"""One emulator for the session; new tables and queues for every test.

A contract test asks for a store and runs twice: against the fake in memory, and against the real
adapter on the emulator. So a fake cannot drift from what it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from local import emulator as local_emulator
from local.emulator import Emulator
from tests.contracts.aws_resources import Resources
from tests.fakes import FakeClock
from tools.stack.state import StateDirectory
from wechat_kf.wechat.transport import Timeouts


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    started = local_emulator.start(StateDirectory(tmp_path_factory.mktemp("emulator")))
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.service.stop()


@pytest.fixture(scope="session")
def dynamodb(emulator: Emulator) -> Any:
    return emulator.client("dynamodb")


@pytest.fixture(scope="session")
def sqs(emulator: Emulator) -> Any:
    return emulator.client("sqs")


@pytest.fixture(scope="session")
def resources(dynamodb: Any, sqs: Any) -> Resources:
    return Resources(dynamodb, sqs)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timeouts() -> Timeouts:
    """Those of calls to the simulator; a test where one has to time out brings its own."""
    return Timeouts()
