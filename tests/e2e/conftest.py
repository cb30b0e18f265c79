"""The deployed stack for end-to-end tests: brought up once per session, in a directory of its own.

A stack that is up there already (`LOCAL_DIR=.local/test make up`) is used and left as it was.
`E2E_DIR` names another directory.
"""

import os
from collections.abc import Iterator

import pytest

from wechat_kf_cli.stack.clients import ApiClient, ReceiverClient, SimulatorClient
from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local import stack as local_stack

TEST_DIRECTORY = os.environ.get("E2E_DIR", ".local/test")


@pytest.fixture(scope="session")
def stack() -> Iterator[StackInfo]:
    """Where everything is. Setting up may take a minute."""
    state = StateDirectory.from_environment({"LOCAL_DIR": TEST_DIRECTORY})
    found_up = local_stack.is_up(state)
    info = local_stack.up(state, local_stack.Progress())
    yield info
    if not found_up:
        local_stack.down(state)


@pytest.fixture(scope="session")
def api(stack: StackInfo) -> ApiClient:
    """The platform's back end, with credentials that may do everything."""
    return ApiClient.of(stack)


@pytest.fixture(scope="session")
def simulator(stack: StackInfo) -> SimulatorClient:
    """WeChat and the buyers' phones."""
    return SimulatorClient(stack.simulator_url)


@pytest.fixture(scope="module")
def patient_wechat(simulator: SimulatorClient) -> Iterator[None]:
    """A crowded machine may take longer than five seconds to start the emulator's first worker."""
    simulator.configure(push_deadline_seconds=15)
    yield
    simulator.configure(push_deadline_seconds=5)


@pytest.fixture(scope="session")
def receiver(stack: StackInfo) -> ReceiverClient:
    """A merchant's system."""
    return ReceiverClient(stack.receiver_url)
