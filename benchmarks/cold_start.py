"""Importing each handler in a fresh interpreter, against importing boto3 and making one SQS client.

CPU time, not wall time: what Lambda's init phase is made of, without the machine's other guests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from benchmarks.measure import COMPARISON, Section, row_of_turns
from benchmarks.template_environment import function_environment, function_names
from tools.stack.state import ROOT

FLOOR = "import boto3; boto3.client('sqs')"
ROUNDS = 9
GOALS = {"push": 1.2}
"""Times the floor; 1.5 for every function that is not named."""

NOTE = (
    "`import <name>_handler` in a fresh interpreter, with byte code as the layer has it: Lambda's "
    "init phase. The other side is `" + FLOOR + "`. Median CPU time, and the median of the rounds' "
    "ratios; less is better. `push`, which answers to a deadline, has the tightest goal; others "
    "also need pydantic and Powertools' router (`merchants`, `messages`, `broadcasts`), `requests` "
    "(whatever calls WeChat) and a client for each further service."
)

_PROBE = """
import sys, time
started = time.process_time()
exec(sys.argv[1])
print(time.process_time() - started)
"""


def run() -> list[Section]:
    programs = {"floor": (FLOOR, function_environment("push"))} | {
        name: (f"import {name}_handler", function_environment(name)) for name in function_names()
    }
    samples: dict[str, list[float]] = {name: [] for name in programs}
    with TemporaryDirectory() as byte_code:
        for round_number in range(ROUNDS + 1):
            for name, (program, environment) in programs.items():
                spent = _cpu_ms(program, environment, byte_code)
                if round_number:  # the first round writes byte code, as the layer's build does
                    samples[name].append(spent)
    floor = samples.pop("floor")
    rows = [
        row_of_turns(name, (ours, floor), "ms", GOALS.get(name, 1.5))
        for name, ours in samples.items()
    ]
    return [Section("Cold starts", NOTE, COMPARISON, [row.cells() for row in rows])]


def _cpu_ms(program: str, environment: dict[str, str], byte_code: str) -> float:
    name = environment["POWERTOOLS_SERVICE_NAME"]
    path = os.pathsep.join([str(ROOT / "layers" / "shared"), str(ROOT / "functions" / name)])
    inherited = dict(os.environ)
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, program],
        env={**inherited, **environment, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": byte_code},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(done.stdout.split()[-1]) * 1000
