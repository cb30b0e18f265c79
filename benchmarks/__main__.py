"""`python -m benchmarks`: runs every benchmark and writes RESULTS.md."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from benchmarks import cold_start, receive_path, warm_push
from benchmarks.measure import Row, table

RESULTS = Path(__file__).with_name("RESULTS.md")
HEADER = ["what", "ours", "the other", "ratio", "goal", ""]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print only, leave RESULTS.md alone")
    options = parser.parse_args()
    found: list[Row] = []
    for benchmark in (receive_path, warm_push, cold_start):
        print(f"{benchmark.__name__} …", file=sys.stderr, flush=True)
        found += benchmark.rows()
    text = (
        "# Benchmark results\n\n"
        "Made by `make bench` in one run: medians of interleaved samples of CPU time. The other "
        "side is wechatpy for the receive path, the bare SQS call for the warm push, and `import "
        "boto3` with one SQS client for the cold starts.\n\n"
        f"Python {platform.python_version()}, {platform.machine()}.\n\n"
        + table(HEADER, [row.cells() for row in found])
        + "\n"
    )
    print(text)
    if not options.print:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
