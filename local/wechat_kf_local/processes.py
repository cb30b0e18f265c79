"""Background processes that never leak.

Each process leads its own process group and inherits a locked file. The kernel releases the lock
when the process ends, however it ends, so checking whether it runs does not depend on process ids.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import ROOT, StateDirectory

T = TypeVar("T")

STOP_SECONDS = 5.0
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Service:
    """One named background process of a stack."""

    state: StateDirectory
    name: str

    @property
    def log(self) -> Path:
        return self.state.log(self.name)

    @property
    def _lock_file(self) -> Path:
        return self.state.directory("run") / f"{self.name}.pid"

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start `command` in the repository's root; its output goes to the log.

        Raises:
            StackError: it is already running.
        """
        with self._lock_file.open("a+") as lock, self.log.open("w") as log:
            if not _try_lock(lock.fileno()):
                raise StackError(f"{self.name} is already running")
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
            lock.truncate(0)
            lock.write(str(process.pid))

    def is_running(self) -> bool:
        try:
            with self._lock_file.open() as lock:
                return not _try_lock(lock.fileno())
        except FileNotFoundError:
            return False

    def stop(self) -> None:
        """Stop the process group with SIGTERM, then SIGKILL; do nothing if it is not running."""
        if not self.is_running():
            return
        group = int(self._lock_file.read_text())
        _signal_group(group, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        _signal_group(group, signal.SIGKILL)

    def wait_for(self, probe: Callable[[], T | None], seconds: float) -> T:
        """Poll `probe` and return its first result that is not None.

        Raises:
            StackError: the process ended, or there was no result within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = probe()
            if found is not None:
                return found
            if not self.is_running():
                raise StackError(f"{self.name} exited during start-up: {last_line(self.log)}")
            time.sleep(POLL_SECONDS)
        raise StackError(f"{self.name} was not ready after {seconds:.0f} s, see {self.log}")


def last_line(log: Path) -> str:
    """Return the last line of a log that is not empty."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "no output")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return  # macOS reports "not permitted" for a group that has only zombies left
