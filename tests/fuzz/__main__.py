"""`python -m tests.fuzz`: a coverage-guided run of the push path, and its table in RESULTS.md.

Ends after --inputs or --seconds, whichever comes first; the status is 1 when something unexpected
was raised, or when there was no time for a million inputs. The input that did it lies in
.local/fuzz then, and `python -m tests.fuzz --again <file>` sends it once more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.fuzz.push_path import BENDS, DICTIONARY, check, seeds

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = Path(__file__).with_name("RESULTS.md")
WORK: Final = ROOT / os.environ.get("LOCAL_DIR", ".local") / "fuzz"
FEWEST: Final = 1_000_000
LONGEST_INPUT: Final = 4096
HANG_SECONDS: Final = 5

_STATUS: Final = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to; `edges` of our code were seen, `kept` inputs found new ones."""

    inputs: int
    taken: int
    seeds: int
    seconds: float
    edges: int
    kept: int
    unexpected: int

    def table(self) -> str:
        rows = {
            "inputs": f"{self.inputs:,}",
            "unexpected exceptions, hangs over 5 s": str(self.unexpected),
            "taken for pushes, and seen through to the subscriber": f"{self.taken:,}",
            "seeds": f"{self.seeds:,}",
            "inputs that found new paths": str(self.kept),
            "edges of `wechat_kf` seen": str(self.edges),
            "seconds": f"{self.seconds:.0f}",
            "inputs per second": f"{self.inputs / max(self.seconds, 0.001):,.0f}",
        }
        return "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=3 * FEWEST)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--again", type=Path, metavar="FILE", help="one input, to debug")
    parser.add_argument("--print", action="store_true", help="print only, leave RESULTS.md alone")
    options = parser.parse_args()
    if options.again:
        say("taken" if check(options.again.read_bytes()) else "refused")
        return 0
    if find_spec("atheris") is None:
        say("atheris is not there: it comes for Linux on x86-64 with Python 3.11 to 3.13")
        return 1
    outcome = run(options.inputs, options.seconds, options.seed)
    say(outcome.table())
    if not options.print:
        RESULTS.write_text(document(outcome, options.seed), encoding="utf-8")
    return int(bool(outcome.unexpected) or outcome.inputs < FEWEST)


def run(inputs: int, seconds: int, seed: int) -> Outcome:
    """Fuzz in a process of its own, which reports how far it is."""
    count = _prepare()
    limits = [f"-runs={inputs}", f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}"]
    manner = [f"-seed={seed}", f"-max_len={LONGEST_INPUT}", "-use_value_profile=1"]
    places = [f"-dict={WORK / 'words'}", f"-artifact_prefix={WORK}/", str(WORK / "corpus")]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.guided", *limits, *manner, *places],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'layers/shared'}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    start = time.monotonic()
    seen = _watch(process)
    # A crash ends libFuzzer with 77, a hang with 70.
    return Outcome(
        inputs=seen["inputs"],
        taken=seen["taken"],
        seeds=count,
        seconds=time.monotonic() - start,
        edges=seen["edges"],
        kept=seen["kept"],
        unexpected=int(process.wait() != 0),
    )


def _prepare() -> int:
    """A fresh corpus of the seeds, and the dictionary; how many seeds."""
    corpus = WORK / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for old in corpus.iterdir():
        old.unlink()
    inputs = set(seeds())
    for number, data in enumerate(sorted(inputs)):
        (corpus / f"seed-{number:04}").write_bytes(data)
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in DICTIONARY)
    (WORK / "words").write_text("".join(f'"{word}"\n' for word in escaped))
    return len(inputs)


def _watch(process: subprocess.Popen[str]) -> dict[str, int]:
    seen = {"inputs": 0, "taken": 0, "edges": 0, "kept": 0}
    assert process.stdout is not None
    for line in process.stdout:
        if status := _STATUS.match(line):
            seen["inputs"], seen["edges"] = int(status[1]), int(status[2])
            seen["kept"] = int(status[4])
            if "pulse" in line or "DONE" in line:
                say(line.rstrip())
        elif line.startswith('{"inputs"'):
            seen.update(json.loads(line))
        elif not line.startswith(('"', "#", "INFO: Instr", "WARNING: Failed to find f")):
            say(line.rstrip())
    return seen


def document(outcome: Outcome, seed: int) -> str:
    """RESULTS.md."""
    bends = "\n".join(
        f"- `{bend.__name__.removeprefix('_')}`: {(bend.__doc__ or '').splitlines()[0]}"
        for bend in BENDS
    )
    return f"""# Fuzzing results

Made by `make fuzz` (atheris, seed {seed}) on Python {platform.python_version()}, \
{platform.machine()}, one core.

| what | result |
|---|---|
{outcome.table()}

Each input is one push to a receiver in one of the three modes and either format, bent in one place
and then signed as WeChat would sign it, so that the mutation gets past the signature:

{bends}

The only exception that may come out is `PushRefusedError`. Whatever is taken for a push must become
an event that SQS takes, and that comes back from both queues as it went in. A genuine push must be
taken whatever bytes its texts hold, with its sender, merchant, message and type. `verify_url` and
the answer that hands a message to WeChat's own tool are called as well (`tests/fuzz/push_path.py`).
The seeds are every kind of push and every broken push of `tests/pushes.py`.
"""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
