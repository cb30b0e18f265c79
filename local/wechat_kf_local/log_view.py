"""Show the logs of everything that the local stack runs, and follow them."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_local import function_logs, stack

LAST_LINES = 20
POLL_SECONDS = 0.5
FUNCTIONS_EVERY = 4
"""The functions' lines are fetched from the emulator each so many polls."""


def show(grep: str, *, follow: bool) -> int:
    """Print the last lines of every log that match `grep`; with `follow`, go on until Ctrl-C."""
    try:
        wanted = re.compile(grep)
    except re.error as error:
        raise StackError(f"--grep: {error}") from error
    state = StateDirectory.from_environment()
    return stack.run_command(state, partial(_show, wanted=wanted, follow=follow))


def _show(state: StateDirectory, *, wanted: re.Pattern[str], follow: bool) -> int:
    _fetch(state)
    tails = {}
    for log in _logs(state):
        tails[log] = log.stat().st_size
        with log.open(errors="replace") as lines:
            last = deque(filter(wanted.search, lines), LAST_LINES)
        if last or not wanted.pattern:
            print(f"==> {log}\n{''.join(last)}", end="" if last else "\n")
    if follow:
        for name, line in _new_lines(state, tails):
            if wanted.search(line):
                print(f"{name}: {line}", flush=True)
    return 0


def _new_lines(state: StateDirectory, tails: dict[Path, int]) -> Iterator[tuple[str, str]]:
    """Yield (log, line) of what is written from now on; never ends."""
    polls = 0
    while True:
        time.sleep(POLL_SECONDS)
        polls += 1
        if polls % FUNCTIONS_EVERY == 0:
            _fetch(state)
        for log in _logs(state):
            with log.open("rb") as file:
                file.seek(tails.get(log, 0))
                content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            tails[log] = tails.get(log, 0) + len(whole)
            for line in whole.decode(errors="replace").splitlines():
                yield log.stem, line


def _fetch(state: StateDirectory) -> None:
    """Bring the functions' lines from the emulator."""
    if stack.is_up(state):
        function_logs.save(state, state.read())


def _logs(state: StateDirectory) -> list[Path]:
    return sorted(state.directory("logs").glob("*.log"))
