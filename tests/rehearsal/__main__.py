"""Run the built artefact as Lambda would, and the end-to-end suite through it.

    python -m tests.rehearsal [--cpu lambda] [--runtime oldest|newest] [-- PYTEST ARGUMENTS]

Builds what `make build` builds for this machine's processor, deploys it to the emulator, and runs
every function from what was uploaded: the runtime interface client on Python 3.13 with the
runtime's boto3, code and layer read-only, no HOME, another user, memory bound, the role's own
credentials under IAM. Ends with a table; the exit status is 1 when a test failed or an
environment exited or timed out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal import runtimes
from tests.rehearsal.artefact import make_build
from tests.rehearsal.fleet import Fleet
from tests.rehearsal.place import Place
from wechat_kf_cli.stack.state import ROOT, StateDirectory
from wechat_kf_local import stack as local_stack
from wechat_kf_local.deploy import HOST_ARCHITECTURE

STACK = ".local/rehearsal"
SUITE = ["tests/e2e", "--deselect", "tests/e2e/test_chaos.py"]
"""The storm of test_chaos kills the emulator's own workers, which take no part here."""


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    state = StateDirectory(ROOT / STACK)
    return local_stack.run_command(state, lambda _state: _rehearse(options, state))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cpu",
        choices=("full", "lambda"),
        default="full",
        help="lambda: no more of a processor than the function's memory buys",
    )
    parser.add_argument(
        "--runtime", choices=runtimes.NAMES, default="current", help="which boto3 (current)"
    )
    parser.add_argument("suite", nargs="*", default=SUITE, help="pytest's arguments")
    return parser


def _rehearse(options: argparse.Namespace, state: StateDirectory) -> int:
    started = time.monotonic()
    place = Place.of_this_machine()
    for sentence in place.missing:
        print(f"MISSING: {sentence}", flush=True)
    folder = state.directory("functions")
    runtime = runtimes.install(
        options.runtime, place.interpreter.executable, state.directory("runtimes")
    )
    template = _build(state) if place.is_lambdas_python else None
    info = local_stack.up(state, local_stack.Progress(), template)
    fleet = None
    try:
        fleet = Fleet(info, place, runtime, folder, limit_processor=options.cpu == "lambda")
        fleet.serve()
        print(f"{time.monotonic() - started:6.1f} s  every function has started", flush=True)
        status = _run_suite(options.suite)
    finally:
        if fleet is not None:
            fleet.stop()
        local_stack.down(state)
    for complaint in fleet.complaints:
        print(complaint)
    share = "the share that its memory buys" if options.cpu == "lambda" else "not limited"
    print(f"\n{fleet.table()}\n")
    print(
        f"Python {place.interpreter.version}, runtime {options.runtime} "
        f"({runtimes.describe(options.runtime)}), processor {share}; "
        f"{time.monotonic() - started:.0f} s"
    )
    return int(status != 0 or any(record.failed for record in fleet.records.values()))


def _build(state: StateDirectory) -> Path:
    folder = state.directory("build")
    return make_build(HOST_ARCHITECTURE, folder, state.log("build"), folder / "layer-cache")


def _run_suite(suite: Sequence[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", *suite]
    environment = {**os.environ, "E2E_DIR": STACK}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
