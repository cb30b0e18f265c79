"""A stack of its own for deployments that change, fail and are taken back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wechat_kf_cli.stack.state import ROOT, StackInfo, StateDirectory
from wechat_kf_local import deploy
from wechat_kf_local import stack as local_stack
from wechat_kf_local.emulator import Emulator
from wechat_kf_local.processes import Service

DIRECTORY = ".local/deployments"
PREVIOUS = "UPDATE_FROM"
"""Names the commit whose stack is updated; without it, that is the code as it stands."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running stack, and how to deploy to it again."""

    info: StackInfo
    state: StateDirectory
    template: Path
    """This code's, built."""
    emulator: Emulator

    def update(self, template: Path, **parameters: str) -> None:
        """Deploy `template` over the stack. Raises StackError when CloudFormation refuses it."""
        deploy.deploy(self.state, self.emulator, parameters, template)

    def create(self, stack_name: str, template: Path, **parameters: str) -> None:
        """Deploy `template` as another stack. Raises StackError when CloudFormation refuses it."""
        deploy.deploy(self.state, self.emulator, parameters, template, stack_name)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    state = StateDirectory(ROOT / DIRECTORY)
    local_stack.down(state)
    build = deploy.start_build(state)
    try:
        build.wait()
    finally:
        build.abandon()
    template = deploy.built_template(state)
    previous = _build_previous(tmp_path_factory.mktemp("previous")) or template
    info = local_stack.up(state, local_stack.Progress(), previous)
    try:
        yield Deployment(info, state, template, _emulator_of(info, state))
    finally:
        local_stack.down(state)


def _emulator_of(info: StackInfo, state: StateDirectory) -> Emulator:
    return Emulator(
        service=Service(state, "emulator"),
        port=int(info.aws_endpoint_url.rpartition(":")[2]),
        access_key_id=info.access_key_id,
        secret_access_key=info.secret_access_key,
    )


def _build_previous(folder: Path) -> Path | None:
    """The built template of the commit that the environment names."""
    if PREVIOUS not in os.environ:
        return None
    archive = folder / "previous.tar"
    subprocess.run(
        ["git", "archive", "--output", archive, os.environ[PREVIOUS]], cwd=ROOT, check=True
    )
    with tarfile.open(archive) as files:
        files.extractall(folder / "source", filter="data")
    subprocess.run(
        ["sam", "build", "--build-dir", folder / "built"],
        cwd=folder / "source",
        env=deploy.build_environment(),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return folder / "built" / "template.yaml"


@pytest.fixture
def changed_template(deployment: Deployment, tmp_path: Path) -> Path:
    """This code's built template with another layer and other functions: a comment more in each."""
    shutil.copytree(deployment.template.parent, tmp_path / "built")
    shutil.copytree(ROOT / "functions", tmp_path / "functions")
    template = tmp_path / "built" / "template.yaml"
    changed = [template.parent / "SharedLayer/python/wechat_kf/app_errors.py"]
    changed += (tmp_path / "functions").glob("*/*_handler.py")
    for file in changed:
        file.write_text(file.read_text() + "# changed\n")
    moved = re.sub(r"(?m)CodeUri: \S*/functions/", "CodeUri: ../functions/", template.read_text())
    template.write_text(moved)
    return template
