"""What this machine offers to rehearse with, and what is missing of Lambda's place."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.rehearsal import cgroups
from tests.rehearsal.pythons import find_python

LAMBDA_PYTHON = "3.13"
ISOLATE = Path(__file__).parent / "isolate.sh"
CHECK = """
set -e
refuse() { if touch "$1/probe" 2>/dev/null; then echo "$1 can be written" >&2; exit 1; fi; }
for folder in / /opt /var /var/task /var/lang /var/runtime /dev/shm; do refuse "$folder"; done
touch /tmp/probe
test "$(id -u)" = 993
test -z "${HOME:-}"
"""
"""What must hold for a process that was isolated."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python and where it keeps its files."""

    executable: Path
    version: str
    prefix: Path
    site_packages: Path
    """Relative to the prefix."""

    @classmethod
    def at(cls, executable: Path) -> Interpreter:
        probe = (
            "import sys, sysconfig; base = sys.base_prefix;"
            "print(*sys.version_info[:2], sep='.'); print(base);"
            "print(sysconfig.get_path('purelib', vars={'base': base, 'platbase': base}))"
        )
        said = subprocess.run([executable, "-c", probe], capture_output=True, text=True, check=True)
        version, prefix, site_packages = said.stdout.split()
        return cls(executable, version, Path(prefix), Path(site_packages).relative_to(prefix))


@dataclass(frozen=True, slots=True)
class Place:
    """Where the functions will run."""

    interpreter: Interpreter
    isolated: bool
    bound: bool
    missing: list[str] = field(default_factory=list)
    """What Lambda has and this place has not, as sentences."""

    @property
    def is_lambdas_python(self) -> bool:
        return self.interpreter.version == LAMBDA_PYTHON

    @classmethod
    def of_this_machine(cls) -> Place:
        missing = []
        found = find_python(LAMBDA_PYTHON)
        if found is None:
            missing.append(
                f"no Python {LAMBDA_PYTHON} on PATH or in ~/.pyenv/versions: functions run on "
                f"{sys.version_info.major}.{sys.version_info.minor}, with a layer built for it"
            )
        interpreter = Interpreter.at(found or Path(sys.executable))
        if (reason := _explain_no_isolation(interpreter)) is not None:
            missing.append(
                "no right to isolate the functions, so they see this machine's files, "
                f"as this user: {reason}"
            )
        isolated = reason is None
        if (reason := cgroups.explain_missing()) is not None:
            missing.append(f"no bound on memory and processor: {reason}")
        return cls(interpreter, isolated, reason is None, missing)


def _explain_no_isolation(interpreter: Interpreter) -> str | None:
    if sys.platform != "linux":
        return "only Linux has mount namespaces"
    if os.geteuid() != 0:
        return "only root may mount and change the user"
    with TemporaryDirectory() as empty:
        environment = {
            **os.environ,
            "TASK": empty,
            "LAYER": empty,
            "RUNTIME": empty,
            "LANGUAGE": str(interpreter.prefix),
            "SITE_PACKAGES": str(interpreter.site_packages),
        }
        try:
            tried = subprocess.run(
                ["unshare", "--mount", "bash", ISOLATE, "PATH=/usr/bin:/bin", "bash", "-c", CHECK],
                check=False,
                capture_output=True,
                text=True,
                env=environment,
                timeout=30,
            )
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
    return (tried.stderr.strip() or f"exit {tried.returncode}") if tried.returncode else None
