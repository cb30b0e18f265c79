"""Build the artefact twice, in different folders, and compare every file and its mode.

python -m tests.rehearsal.build_twice
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.rehearsal.artefact import make_build
from wechat_kf_local.deploy import HOST_ARCHITECTURE

ALLOWED: dict[str, str] = {}
"""Files that may differ, by their path in the build, each with the reason."""


def main() -> int:
    with TemporaryDirectory() as first, TemporaryDirectory(prefix="a-longer-name-") as second:
        builds = []
        for folder in (first, second):
            template = make_build(HOST_ARCHITECTURE, Path(folder), Path(folder) / "build.log")
            builds.append(_digests(template.parent))
    names = builds[0].keys() | builds[1].keys()
    differing = sorted(name for name in names if builds[0].get(name) != builds[1].get(name))
    for name in differing:
        print(f"differs: {name} ({ALLOWED.get(name, 'and must not')})")
    print(f"{len(names)} files, built twice for {HOST_ARCHITECTURE}: {len(differing)} differ")
    return int(bool(set(differing) - ALLOWED.keys()))


def _digests(folder: Path) -> dict[str, str]:
    """Mode and digest of each file below `folder`."""
    return {
        str(file.relative_to(folder)): (
            f"{file.stat().st_mode:o} {hashlib.sha256(file.read_bytes()).hexdigest()}"
        )
        for file in folder.rglob("*")
        if file.is_file() and os.path.basename(file) != "build.log"
    }


if __name__ == "__main__":
    sys.exit(main())
