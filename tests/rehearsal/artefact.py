"""What `make build` builds, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import ROOT
from wechat_kf_local.emulator import plain_environment


def make_build(architecture: str, folder: Path, log: Path, cache: Path | None = None) -> Path:
    """Run `make build` into `folder`; returns the built template.

    Raises:
        StackError: the build failed; the log says why.
    """
    built = folder / "built"
    command = ["make", "--no-print-directory", "build", f"ARCHITECTURE={architecture}"]
    command += [f"BUILT={_for_make(built)}", f"BUILD_CACHE={_for_make(cache or folder / 'cache')}"]
    with log.open("w") as output:
        done = subprocess.run(
            command,
            check=False,
            cwd=ROOT,
            env=plain_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        raise StackError(f"make build failed, see {log}")
    return built / "template.yaml"


def _for_make(path: Path) -> str:
    """Relative if it can be: SAM writes paths relative to the template's into the built one."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
