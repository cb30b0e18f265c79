"""The page about the HTTP API: its commands, pasted into one shell, and no route without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from generators import openapi
from generators.errors_page import operations
from tests.e2e.pasted import paste
from wechat_kf_cli.stack.state import ROOT

PAGE = ROOT / "docs" / "http-api.md"
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
    shown = paste(PAGE, tmp_path)
    for expected in ('"external_id":"m-1001"', '"status":"sent"', "refused, as it should be"):
        assert expected in shown.replace(": ", ":")
