"""The workflows: they can be read, pin a version of every action, and run commands that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wechat_kf_cli.stack.state import ROOT

WORKFLOWS = [*(ROOT / ".github" / "workflows").glob("*.yml"), ROOT / "examples/deploy/deploy.yml"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def steps(path: Path) -> list[dict[str, Any]]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [step for job in document["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_commands_exist(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])
        else:
            targets = re.findall(r"\bmake ([a-z-]+)", step["run"])
            assert set(targets) <= TARGETS
            assert targets or re.match(r"\.ci/run|\.venv/bin/(sam|wechat-kf) |gh ", step["run"])
