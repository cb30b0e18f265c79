"""Write the lock file of the layer: every package that it gets, pinned with its hashes.

    python -m generators.lock_layer [--upgrade]

Needs pip-tools (`make lock` brings it). Versions that fit stay as they are; `--upgrade` takes newer
ones of those that `requirements.txt` does not name.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from wechat_kf_cli.stack.state import ROOT

LAYER = ROOT / "layers" / "shared"
LOCKED = LAYER / "requirements-locked.txt"
HEADING = """\
# Every package of the layer with the hashes of its archives. Written by `make lock` from
# requirements.txt: do not edit.
"""


def main(arguments: Sequence[str]) -> int:
    command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes"]
    command += ["--strip-extras", "--no-annotate", "--no-header", "--no-emit-index-url"]
    command += ["--no-emit-options", *arguments, "--output-file", LOCKED.name, "requirements.txt"]
    status = subprocess.run(command, check=False, cwd=LAYER).returncode  # noqa: S603
    if status == 0:
        LOCKED.write_text(HEADING + _without_comments(LOCKED.read_text()))
    return status


def _without_comments(text: str) -> str:
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith("#")]
    return "".join(lines).lstrip("\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
