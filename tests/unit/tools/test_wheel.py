"""The wheel: what users install without a clone."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from wechat_kf_cli.stack.state import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is unpacked into."""
    made, folder = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = made.glob("wechat_kf-*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run_there(installed: Path, program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_client_can_be_used_alone(installed: Path) -> None:
    program = "import sys, wechat_kf.wechat.client as client; print(client.__file__, *sys.modules)"
    place, *modules = run_there(installed, program).split()
    assert place.startswith(str(installed))
    tops = {name.partition(".")[0] for name in modules}
    assert not tops & {"boto3", "botocore", "aws_lambda_powertools", "pydantic"}
    assert (installed / "wechat_kf" / "py.typed").exists()


def test_the_command_runs_without_a_clone(installed: Path) -> None:
    program = "from wechat_kf_cli.main import run; run(['--help'])"
    shown = run_there(installed, program)
    assert all(name in shown for name in ("up", "doctor", "listen", "trigger", "simulator"))


@pytest.mark.parametrize(
    ("package", "extra"), [("wechat_kf_cli", ""), ("wechat_kf_local", "local")]
)
def test_everything_can_be_imported_with_what_is_required(
    package: str, extra: str, installed: Path
) -> None:
    [metadata] = installed.glob("wechat_kf-*.dist-info")
    there = brought_by(Distribution.at(metadata), extra)
    absent = [
        module
        for module, distributions in packages_distributions().items()
        if not module.startswith("wechat_kf")
        and not there & set(map(canonicalize_name, distributions))
    ]
    assert "aws_lambda_powertools" in absent
    program = f"""
import importlib, pkgutil, sys, {package}
sys.modules.update(dict.fromkeys({absent!r}))
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
    run_there(installed, program)


def brought_by(wheel: Distribution, extra: str) -> set[str]:
    """The names of the distributions that an installation with this extra brings."""
    found: set[str] = set()
    waiting = [(text, extra) for text in wheel.requires or ()]
    while waiting:
        text, wanted = waiting.pop()
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        applies = not requirement.marker or requirement.marker.evaluate({"extra": wanted})
        if applies and name not in found:
            with suppress(PackageNotFoundError):
                waiting += [(text, "") for text in distribution(name).requires or ()]
                found.add(name)
    return found


def test_it_brings_what_it_deploys(installed: Path) -> None:
    program = (
        "from wechat_kf_cli.stack.state import ROOT, StateDirectory;"
        "print(ROOT, StateDirectory.from_environment({}).path, sep='\\n')"
    )
    root, state = (Path(line) for line in run_there(installed, program).splitlines())
    assert root == installed / "wechat_kf_local" / "bundle"
    assert state == installed.parent / ".local"
    for folder in ("functions", "layers"):
        here = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*.py")}
        assert here == {path.relative_to(root) for path in (root / folder).rglob("*.py")}
    assert (root / "template.yaml").read_bytes() == (ROOT / "template.yaml").read_bytes()
    assert (root / "layers" / "shared" / "Makefile").exists()
    assert (installed / "wechat_kf_local" / "page" / "static" / "index.html").exists()
