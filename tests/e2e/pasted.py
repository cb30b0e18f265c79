"""Pages of commands, pasted into one shell as a reader would, on a stack of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from wechat_kf_cli.stack.state import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def paste(page: Path, folder: Path) -> str:
    """Run all commands of `page` in one shell; return what it printed. The stack is in `folder`.

    Raises AssertionError, with all that was printed, when a command fails.
    """
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    environment = {
        **os.environ,
        "LOCAL_DIR": str(folder / "stack"),
        "TMPDIR": str(folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(["set -euo pipefail", *blocks])],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["wechat-kf", "down"], check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
