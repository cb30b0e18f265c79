"""What code and configuration cite can be opened: a section of a page here, or a public URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wechat_kf_cli.stack.state import ROOT

FOLDERS = ("functions", "layers", "local", "tools", "tests", "benchmarks", "events", "examples")
ENDINGS = {".py", ".yaml", ".js", ".json", ".toml", ".wxml", ".ts"}
UNSHIPPED = re.compile(
    r"\b(?:reference|design|findings),? sections? [\d.]+|\breference/\w+|\bpitfall \d+"
)
PAGE = re.compile(r"\bdocs/[\w/.-]+\.\w+")
SECTIONS = re.compile(
    r"docs/wechat-api\.md,\s+sections?\s+([\d.]+(?:(?:, | and | to |, and )[\d.]+)*)"
)
NUMBER = re.compile(r"\d+(?:\.\d+)*")
HEADING = re.compile(r"^#+ (\d+(?:\.\d+)?)\b", re.MULTILINE)


def sources() -> Iterator[Path]:
    yield ROOT / "template.yaml"
    yield ROOT / "Makefile"
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in ENDINGS and "node_modules" not in path.parts and path.is_file():
                yield path


SOURCES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sources()
    if path != Path(__file__).resolve()
}
CITING = sorted(name for name, text in SOURCES.items() if SECTIONS.search(text))
WECHAT_SECTIONS = frozenset(HEADING.findall((ROOT / "docs/wechat-api.md").read_text("utf-8")))


def test_nothing_cites_a_document_that_is_not_shipped() -> None:
    dangling = {name: UNSHIPPED.findall(text) for name, text in SOURCES.items()}
    assert {name: found for name, found in dangling.items() if found} == {}


def test_every_page_that_is_cited_exists() -> None:
    cited = {(name, page) for name, text in SOURCES.items() for page in PAGE.findall(text)}
    assert len(cited) > 20
    assert [(name, page) for name, page in sorted(cited) if not (ROOT / page).exists()] == []


@pytest.mark.parametrize("name", CITING)
def test_every_section_of_wechats_facts_that_is_cited_exists(name: str) -> None:
    for numbers in SECTIONS.findall(SOURCES[name]):
        assert set(NUMBER.findall(numbers)) <= WECHAT_SECTIONS, numbers


def test_many_modules_say_where_their_facts_come_from() -> None:
    assert len(CITING) > 20
