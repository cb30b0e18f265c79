"""Programs of other languages, which a machine may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test on a machine without a program."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def output(*command: str | Path, folder: Path, **environment: str) -> str:
    """Run a program in a folder; return what it prints.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
