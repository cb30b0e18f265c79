"""docs/security.md ties threats to tests, and the scanner's exceptions have reasons."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.named_tests import defined_in

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
REQUIREMENTS = ("requirements-dev.txt", "requirements-scan.txt", "layers/shared/requirements.txt")


def test_every_threat_is_tied_to_a_test() -> None:
    chapter = PAGE.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| ")]
    threats = [row for row in rows if not row.startswith("| threat |")]
    assert len(threats) >= 25
    for threat in threats:
        assert re.search(r"`tests/[\w/]+\.py::\w+`", threat), threat


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
