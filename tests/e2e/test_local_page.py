"""The page about the local stack: its commands, pasted into one shell, on a stack of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.pasted import paste
from wechat_kf_cli.stack.state import ROOT

PAGE = ROOT / "docs" / "local.md"


@pytest.mark.timeout(180)
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    shown = paste(PAGE, tmp_path)
    for expected in ("registered       3", '"text": "有的。"', '"errcode":45015', "stack stopped"):
        assert expected in shown
