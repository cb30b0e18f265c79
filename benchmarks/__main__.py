"""Run the benchmarks and write benchmarks/RESULTS.md.

With --only or --print nothing is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import cold_start, cost, deployed, growth, lanes, receive_path, warm_handlers
from benchmarks.measure import Section

RESULTS = Path(__file__).with_name("RESULTS.md")

BENCHMARKS: dict[str, Callable[[], list[Section]]] = {
    "receive_path": receive_path.run,
    "warm_handlers": warm_handlers.run,
    "cold_start": cold_start.run,
    "growth": growth.run,
    "deployed": deployed.run,
    "lanes": lanes.run,
    "cost": cost.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="run one benchmark and print it")
    parser.add_argument("--print", action="store_true", help="print without writing RESULTS.md")
    options = parser.parse_args()
    started = time.monotonic()
    parts: list[str] = []
    for name in [options.only] if options.only else BENCHMARKS:
        print(f"{time.monotonic() - started:5.0f} s  {name}", file=sys.stderr, flush=True)
        parts += [section.markdown() for section in BENCHMARKS[name]()]
    text = "\n".join([_introduction(time.monotonic() - started), *parts])
    print(text)
    if not options.print and not options.only:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


def _introduction(seconds: float) -> str:
    return (
        "# Benchmark results\n\n"
        "Written by `make bench` in one run that alternates between the two sides of each "
        "comparison. A goal that is missed says so.\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}, {seconds:.0f} s, Python {platform.python_version()}, "
        f"{platform.machine()}, {os.cpu_count()} cores.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
