"""What a function's start does, and leaves out, in a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.template_environment import function_environment, function_names
from wechat_kf_cli.stack.state import ROOT

WITH_PYDANTIC = {"merchants", "messages"}
"""They validate requests; what only sends or receives does not pay for it."""

START = """
import gc, json, sys
kept_out_by_python = gc.get_freeze_count()
collections = []
gc.callbacks.append(lambda phase, info: collections.append(phase))
import wechat_kf
collections.clear()
__import__(sys.argv[1])
print(json.dumps({
    "collections": len(collections),
    "collects": gc.isenabled(),
    "kept out": gc.get_freeze_count() - kept_out_by_python,
    "pydantic": "pydantic" in sys.modules,
}))
"""


def started(module: str, environment: dict[str, str], *folders: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", START, module],
        env={**environment, "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", function_names())
def test_a_start_looks_for_no_garbage_and_what_it_loaded_is_never_searched(name: str) -> None:
    folder = ROOT / "functions" / name
    found = started(f"{name}_handler", function_environment(name), str(folder))
    assert found["collections"] == 0
    assert found["collects"]
    assert found["kept out"] > 10_000
    assert found["pydantic"] == (name in WITH_PYDANTIC)


def test_the_collector_is_left_alone_outside_lambda() -> None:
    found = started("wechat_kf.observability", {})
    assert found["collects"]
    assert found["kept out"] == 0
