"""Importing each handler in a fresh interpreter, against importing boto3 and making one SQS client.

CPU time, not wall time: what Lambda's init phase is made of, without other load on the machine. The
interpreter and its packages are Lambda's as far as this machine has them: Python 3.13, the built
layer, and the boto3 that the runtime brings; nothing of the developer's environment, whose awscrt
and pyOpenSSL (both come with the SAM CLI) make botocore slower to import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import COMPARISON, Section, row_of_turns
from benchmarks.template_environment import function_environment, function_names
from tests.rehearsal import runtimes
from tests.rehearsal.pythons import find_python
from wechat_kf_cli.stack.state import ROOT, StateDirectory

FLOOR = "import boto3; boto3.client('sqs')"
ROUNDS = 9
GOALS = {"push": 1.2}
"""Times the floor; 1.5 for every function that is not named."""

NOTE = (
    "`import <name>_handler` in a fresh interpreter: Lambda's init phase. The other side is "
    "`" + FLOOR + "`. Both see what Lambda has, and nothing else: {what}. Median CPU time, and the "
    "median of the rounds' ratios; less is better. `push`, which answers to a deadline, has the "
    "tightest goal; others also need pydantic and Powertools' router (`merchants`, `messages`), "
    "`requests` (whatever calls WeChat) and a client for each further service."
)

_PROBE = """
import sys, time
started = time.process_time()
exec(sys.argv[1])
print(time.process_time() - started)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """An interpreter, and where it finds packages: the layer before the runtime's."""

    python: Path
    layer: Path
    runtime: Path

    @classmethod
    def like_lambda(cls, layer: Path) -> Place:
        """Build the layer into `layer` for Lambda's Python, or for this one if there is none."""
        python = find_python("3.13") or Path(sys.executable)
        subprocess.run(
            ["make", "-s", "-C", ROOT / "layers" / "shared", "build-SharedLayer"],
            env={
                **os.environ,
                "MAKEFLAGS": "",
                "LAYER_ARCHITECTURE": "host",
                "PYTHON": str(python),
                "ARTIFACTS_DIR": str(layer),
            },
            check=True,
            capture_output=True,
            timeout=300,
        )
        folder = StateDirectory.from_environment().directory("runtimes")
        runtime = runtimes.install("current", python, folder)
        return cls(python, layer / "python", runtime)

    def describe(self) -> str:
        asked = [str(self.python), "-c", "import platform; print(platform.python_version())"]
        version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
        brought = runtimes.describe("current")
        return f"Python {version}, the built layer with its byte code, {brought}"

    def cpu_ms(self, program: str, environment: dict[str, str]) -> float:
        function = ROOT / "functions" / environment["POWERTOOLS_SERVICE_NAME"]
        done = subprocess.run(
            [self.python, "-S", "-c", _PROBE, program],
            env={
                **environment,
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join(map(str, (function, self.layer, self.runtime))),
                "PYTHONDONTWRITEBYTECODE": "1",  # functions have none, as in Lambda
            },
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return float(done.stdout.split()[-1]) * 1000


def run() -> list[Section]:
    with TemporaryDirectory() as layer:
        return [_measure(Place.like_lambda(Path(layer)))]


def _measure(place: Place) -> Section:
    programs = {"floor": (FLOOR, function_environment("push"))} | {
        name: (f"import {name}_handler", function_environment(name)) for name in function_names()
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for round_number in range(ROUNDS + 1):
        for name, (program, environment) in programs.items():
            spent = place.cpu_ms(program, environment)
            if round_number:  # the first round fills the machine's file cache
                samples[name].append(spent)
    floor = samples.pop("floor")
    rows = [
        row_of_turns(name, (ours, floor), "ms", GOALS.get(name, 1.5))
        for name, ours in samples.items()
    ]
    note = NOTE.format(what=place.describe())
    return Section("Cold starts", note, COMPARISON, [row.cells() for row in rows])
