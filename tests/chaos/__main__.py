"""Let a storm loose, and say whether every promise was kept.

    python -m chaos                          on the deployed stack, 5 000 pushes and 2 000 answers
    python -m chaos --in-process             in simulated time, 100 000 pushes and 20 000 answers
    python -m chaos --seed 7 --pushes 200 --sends 80 --minutes 1

Ends with a table; the exit status is 1 when a promise was broken, and the ids concerned are named.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chaos import in_process, storm
from tests.chaos.reckoning import Report
from wechat_kf_cli.stack.state import ROOT, StateDirectory
from wechat_kf_local import stack

STACK = ".local/chaos"


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    run = _in_process if options.in_process else _deployed
    if options.in_process:
        return _told(options, run)
    state = StateDirectory(ROOT / options.stack)
    return stack.run_command(state, lambda _state: _told(options, run))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="what happens when (1)")
    parser.add_argument("--pushes", type=int, help="messages of buyers")
    parser.add_argument("--sends", type=int, help="answers of merchants")
    parser.add_argument(
        "--minutes",
        type=float,
        default=15,
        help="bound of each wait on the deployed stack (15); up to 3 spares the queues' consumers",
    )
    parser.add_argument("--in-process", action="store_true", help="simulated time, no stack")
    parser.add_argument(
        "--stack", default=STACK, help=f"state directory ({STACK}); one that is up stays up"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="replace our part of FILE too")
    return parser


def _in_process(options: argparse.Namespace) -> Report:
    pushes = 100_000 if options.pushes is None else options.pushes
    sends = pushes // 5 if options.sends is None else options.sends
    conversations = max(200, pushes // 100)
    plan = in_process.Plan(
        seed=options.seed, pushes=pushes, sends=sends, conversations=conversations
    )
    return in_process.run(plan, stack.Progress())


def _deployed(options: argparse.Namespace) -> Report:
    plan = storm.Plan.of(
        seed=options.seed,
        pushes=5_000 if options.pushes is None else options.pushes,
        sends=2_000 if options.sends is None else options.sends,
        minutes=options.minutes,
    )
    state = StateDirectory(ROOT / options.stack)
    found_up = stack.is_up(state)
    progress = stack.Progress()
    info = stack.up(state, progress)
    try:
        return storm.Storm(info, state, plan).run(progress)
    finally:
        if not found_up:
            stack.down(state)


def _told(options: argparse.Namespace, run: Callable[[argparse.Namespace], Report]) -> int:
    """Print the report, and put it into the file."""
    started = time.monotonic()
    report = run(options)
    text = "\n".join(
        [
            f"## {'In process' if options.in_process else 'On the deployed stack'}",
            "",
            f"    {_command(options)}",
            "",
            f"Seed {options.seed}; {time.monotonic() - started:.0f} s with Python "
            f"{platform.python_version()} on {platform.machine()}. "
            + ("Every promise was kept." if report.kept else "**A promise was broken.**"),
            "",
            report.table(),
            "",
        ]
    )
    print(text)
    if options.report:
        _replace_part(options.report, text)
    if not report.kept:
        print(f"broken with seed {options.seed}:\n{report.offenders()}", file=sys.stderr)
    return 0 if report.kept else 1


def _command(options: argparse.Namespace) -> str:
    words = ["python -m chaos", f"--seed {options.seed}"]
    for name in ("pushes", "sends", "minutes"):
        if getattr(options, name) not in (None, 15):
            words.append(f"--{name} {getattr(options, name):g}")
    return " ".join([*words, "--in-process"] if options.in_process else words)


def _replace_part(file: Path, text: str) -> None:
    """The file's part of the same heading gives way to `text`; other parts stay."""
    known = file.read_text(encoding="utf-8") if file.exists() else "# Results of the storms\n\n"
    head, *parts = known.split("\n## ")
    title = text.partition("\n")[0].removeprefix("## ")
    kept = [part for part in parts if part.partition("\n")[0] != title]
    body = [head.rstrip(), *(f"## {part.rstrip()}" for part in kept), text.rstrip()]
    file.write_text("\n\n".join(body) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
