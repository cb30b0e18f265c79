"""Find the interpreters of this machine, on PATH and among those of pyenv.

python -m tests.rehearsal.pythons 3.12 3.13    prints the path of each one found, one a line
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


def find_python(version: str) -> Path | None:
    """The executable of Python `version` (`3.13`), or None.

    Each candidate is run: pyenv's shims exist for versions that they then refuse to start.
    """
    for candidate in _candidates(version):
        try:
            found = subprocess.run(
                [candidate, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
                check=False,
                capture_output=True,
                text=True,
                timeout=30,
            )
        except OSError:
            continue
        if found.returncode == 0 and found.stdout.strip() == version:
            return candidate
    return None


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    if (on_path := shutil.which(name)) is not None:
        yield Path(on_path)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for folder in sorted(pyenv.glob(f"{version}*"), reverse=True):
        yield folder / "bin" / name


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        if (executable := find_python(wanted)) is not None:
            print(executable)
