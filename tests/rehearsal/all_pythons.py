"""The unit and template tests on other Pythons than the one of .venv.

    python -m tests.rehearsal.all_pythons 3.11 3.12 3.13

Each version that is found gets an environment of its own (`.venv-3.12`). Ends with one line a
version; the exit status is 1 when tests failed on one.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal.pythons import find_python
from wechat_kf_cli.stack.state import ROOT
from wechat_kf_local.emulator import plain_environment

REQUIREMENTS = [
    ROOT / "requirements-dev.txt",
    ROOT / "layers/shared/requirements.txt",
    ROOT / "pyproject.toml",
]
TESTS = ["--numprocesses", "auto", "--dist", "loadfile", "tests/unit", "tests/template"]


def main(versions: Sequence[str]) -> int:
    ran = {version: _run_tests(version) for version in versions}
    for version, outcome in ran.items():
        print(f"Python {version}: {outcome}")
    return int("failed" in ran.values())


def _run_tests(version: str) -> str:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return "that of .venv: `make test-unit`"
    found = find_python(version)
    if found is None:
        return "not found on PATH or in ~/.pyenv/versions"
    print(f"Python {version}: {found}", flush=True)
    python = _environment(version, found)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", *TESTS], check=False, cwd=ROOT, env=plain_environment()
    )
    return "failed" if done.returncode else "passed"


def _environment(version: str, interpreter: Path) -> Path:
    """The Python of a virtual environment with everything that is pinned."""
    folder = ROOT / f".venv-{version}"
    python, ready = folder / "bin" / "python", folder / "ready"
    newest = max(file.stat().st_mtime for file in REQUIREMENTS)
    if not ready.exists() or ready.stat().st_mtime < newest:
        if not python.exists():
            subprocess.run([interpreter, "-m", "venv", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", str(REQUIREMENTS[0])], check=True)
        in_place = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        subprocess.run([*install, *in_place], check=True)
        ready.touch()
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
