"""docs/security.md names tests that exist, and the scanner's exceptions have reasons."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
REQUIREMENTS = ("requirements-dev.txt", "requirements-scan.txt", "layers/shared/requirements.txt")


@cache
def defined_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=str)
def test_every_test_that_is_named_exists(path: str, name: str) -> None:
    assert name in defined_in(path)


def test_every_threat_is_tied_to_a_test() -> None:
    chapter = PAGE.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| ")]
    threats = [row for row in rows if not row.startswith("| threat |")]
    assert len(threats) >= 25
    for threat in threats:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", threat), threat


def test_no_test_is_named_in_any_other_way() -> None:
    assert PAGE.count("::") == len(re.findall(r"`tests/[\w/]+\.py::\w+`", PAGE))


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_is_pinned(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert wanted
    for line in wanted:
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+(; .+)?", line), line


def test_every_exception_of_the_scanner_has_a_reason_and_names_what_exists() -> None:
    text = (ROOT / ".checkov.yaml").read_text(encoding="utf-8")
    skipped = text.partition("skip-check:\n")[2]
    groups = re.findall(r"((?:  #.*\n)*)((?:  - CKV\w+\n)+)", skipped)
    assert sum(checks.count("CKV") for _, checks in groups) == skipped.count("CKV") > 0
    everything = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in defined_in(str(path))
    }
    for reason, checks in groups:
        assert len(reason) > 80, checks
        for name in re.findall(r"\btest_\w+", reason):
            assert name in everything, name
