"""The parts of Lambda's runtime that are published: its interface client and its boto3.

`runtime-*.txt` pin them. `current` is what Lambda's python3.13 was seen to bring in 2026-09;
`oldest` is what it brought when python3.13 appeared, `newest` the newest one when this was written.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from wechat_kf_cli.stack.stack_error import StackError

NAMES = ("current", "oldest", "newest")


def install(name: str, python: Path, directory: Path) -> Path:
    """The folder with runtime `name` for the interpreter `python`; made once below `directory`."""
    pins = Path(__file__).parent / f"runtime-{name}.txt"
    key = hashlib.sha256(pins.read_bytes() + str(python).encode()).hexdigest()[:12]
    folder = directory / f"{name}-{key}"
    if folder.exists():
        return folder
    draft = directory / f"{name}-{key}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--root-user-action=ignore"]
    command += ["--requirement", str(pins), "--target", str(draft)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"the runtime's packages do not install: {done.stderr.strip()[-500:]}")
    draft.rename(folder)
    return folder


def describe(name: str) -> str:
    """The versions that matter of runtime `name`."""
    pins = (Path(__file__).parent / f"runtime-{name}.txt").read_text().splitlines()
    return ", ".join(pin for pin in pins if pin.startswith(("awslambdaric", "botocore")))
