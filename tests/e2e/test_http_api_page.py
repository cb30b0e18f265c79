"""The page about the HTTP API: its commands, pasted into one shell, and no route without one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from generators import openapi
from generators.errors_page import operations
from wechat_kf_cli.stack.state import ROOT

PAGE = ROOT / "docs" / "http-api.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"\bapi ([A-Z]+) [\"']?([^\"'\s]+)")


def test_every_route_has_a_command() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("$HERE", "/merchants/x/subscriptions/x")
    called = {
        f"{method} {re.sub('[$][A-Z]+', 'x', path).partition('?')[0]}"
        for method, path in CALL.findall(page)
    }
    routes = {
        f"{method} {re.sub('{[a-z_]+}', 'x', path)}"
        for path, method, _ in operations(openapi.document())
        if path != "/wechat/push"
    }
    assert called == routes


@pytest.mark.timeout(180)
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    environment = {
        **os.environ,
        "LOCAL_DIR": str(tmp_path / "stack"),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    try:
        done = subprocess.run(
            ["bash", "-c", "\n".join(["set -euo pipefail", *blocks])],
            check=False,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["wechat-kf", "down"], check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in ('"external_id":"m-1001"', '"status":"sent"', "refused, as it should be"):
        assert expected in done.stdout.replace(": ", ":")
