"""The page about the local stack: its commands, pasted into one shell, on a stack of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wechat_kf_cli.stack.state import ROOT

PAGE = ROOT / "docs" / "local.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.timeout(180)
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    environment = {
        **os.environ,
        "LOCAL_DIR": str(tmp_path / "stack"),
        "TMPDIR": str(tmp_path),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    script = "\n".join(["set -euo pipefail", *blocks])
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["wechat-kf", "down"], check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    for expected in ("registered       3", '"text": "有的。"', '"errcode":45015', "stack stopped"):
        assert expected in shown
