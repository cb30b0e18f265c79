"""Background processes end with all they started, and a dead one is never taken for alive."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_local.processes import Service

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return StateDirectory(tmp_path / "state")


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")  # a zombie that nobody reaps, as in a container, is gone too
    return status.exists() and status.read_text().split()[2] == "Z"


def test_stop_ends_the_process_and_its_children(state: StateDirectory) -> None:
    service = Service(state, "parent")
    service.start([sys.executable, "-c", PARENT], os.environ)
    child = service.wait_for(lambda: int(service.log.read_text() or 0) or None, seconds=10)

    service.stop()

    assert not service.is_running()
    deadline = time.monotonic() + 5
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone(child)


def test_a_killed_process_is_not_running_and_leaves_nothing_to_stop(state: StateDirectory) -> None:
    service = Service(state, "killed")
    service.start(SLEEP, os.environ)
    pid = int((state.path / "run" / "killed.pid").read_text())
    assert service.is_running()

    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

    assert not service.is_running()
    service.stop()


def test_a_second_start_is_refused(state: StateDirectory) -> None:
    service = Service(state, "twice")
    service.start(SLEEP, os.environ)
    try:
        with pytest.raises(StackError, match="already running"):
            service.start(SLEEP, os.environ)
    finally:
        service.stop()


def test_a_process_that_ends_at_once_is_named_with_its_last_words(state: StateDirectory) -> None:
    service = Service(state, "brief")
    service.start([sys.executable, "-c", "raise SystemExit('port is taken')"], os.environ)

    with pytest.raises(StackError, match="brief exited during start-up: port is taken"):
        service.wait_for(lambda: None, seconds=10)
