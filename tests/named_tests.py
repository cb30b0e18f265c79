"""Tests that documents name: which there are."""

from __future__ import annotations

import ast
from functools import cache

from wechat_kf_cli.stack.state import ROOT


@cache
def defined_in(path: str) -> frozenset[str]:
    """Names of the tests in a file; `path` is relative to the project's root."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))
