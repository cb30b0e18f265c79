"""One emulator for the session; new tables and queues for every test.

A contract test asks for a store and runs twice: against the fake in memory, and against the real
adapter on the emulator. So a fake cannot drift from what it stands for. Another emulator can be
named by the environment (endpoints.py); `make contracts-moto` does so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contracts.aws_resources import Resources
from tests.contracts.endpoints import endpoints_of, faults_named
from tests.contracts.known_faults import BY_CHANCE, FAULTS
from tests.fakes import FakeClock
from wechat_kf.wechat.transport import Timeouts
from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_local import emulator as local_emulator
from wechat_kf_local.emulator import Emulator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the failures that another emulator's own faults cause, and no others."""
    if (emulator_name := faults_named()) is None:
        return
    faults, by_chance = FAULTS[emulator_name], BY_CHANCE[emulator_name]
    unmet = {*faults, *by_chance}
    for item in items:
        name = item.nodeid.partition("tests/contracts/")[2]
        for listed in (name, name.partition("[")[0]):
            if (reason := faults.get(listed) or by_chance.get(listed)) is not None:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=listed in faults))
                unmet.discard(listed)
    if unmet:
        raise pytest.UsageError(f"no contract test has these names: {sorted(unmet)}")


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    state = StateDirectory(tmp_path_factory.mktemp("emulator"))
    if (named := endpoints_of(os.environ, state)) is not None:
        yield named
        return
    started = local_emulator.start(state)
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
