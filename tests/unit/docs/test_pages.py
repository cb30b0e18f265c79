"""Checks of every page: links, commands and named tests exist, translations match."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.named_tests import defined_in
from wechat_kf_cli.stack.state import ROOT

MADE_HERE = {"node_modules", "__pycache__", "build", "dist"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
ANCHOR = re.compile(r'<a (?:id|name)="([^"]+)">')
HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
COMMAND = re.compile(r"\bmake ([a-z][a-z-]*)\b")
TABLE_ROW = re.compile(r"^\|", re.MULTILINE)
COMMENT = re.compile(r"\s*(?:#|(?<!:)//).*$", re.MULTILINE)
TEST_NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CHINESE = re.compile(r"[\u4e00-\u9fff]")

TRANSLATED = (
    "architecture",
    "china",
    "configuration",
    "cost",
    "deploy",
    "errors",
    "events",
    "first-deployment",
    "http-api",
    "limits",
    "local",
    "merchant-developer",
    "merchants",
    "migration",
    "operations",
    "promises",
    "releasing",
    "security",
    "security-overview",
    "sending",
    "terraform-and-cdk",
    "wechat-api",
)


def pages() -> Iterator[Path]:
    """The pages of the clone; hidden folders and what is made here are not."""
    for path in sorted(ROOT.rglob("*.md")):
        parts = path.relative_to(ROOT).parts
        if not any(part.startswith(".") or part in MADE_HERE for part in parts):
            yield path


PAGES = list(pages())


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def anchors(path: Path) -> frozenset[str]:
    """The anchors GitHub makes of headings, and those a page sets by itself."""
    titles = [title for _, title in HEADING.findall(FENCE.sub("", text_of(path)))]
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    made = {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}
    return frozenset(made | set(ANCHOR.findall(text_of(path))))


def links(path: Path) -> list[str]:
    prose = CODE.sub("", FENCE.sub("", text_of(path)))
    return [link for link in LINK.findall(prose) if not re.match(r"[a-z]+:", link)]


def broken(path: Path) -> Iterator[str]:
    for link in links(path):
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or not file.is_relative_to(ROOT):
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(file):
            yield f"{link}: no such heading"


def commands(path: Path) -> set[str]:
    """Make targets in code: `make run`, or in a block; never in prose ("make sure")."""
    code = [*FENCE.findall(text_of(path)), *CODE.findall(FENCE.sub("", text_of(path)))]
    return {target for block in code for target in COMMAND.findall(COMMENT.sub("", block))}


def test_there_are_pages_with_links() -> None:
    assert len(PAGES) > 20
    assert sum(len(links(path)) for path in PAGES) > 40


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    assert list(broken(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_make_commands_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    assert commands(path) <= targets


NAMING_TESTS = [path for path in PAGES if ".py::" in text_of(path)]


@pytest.mark.parametrize("path", NAMING_TESTS, ids=name_of)
def test_every_test_that_is_named_exists(path: Path) -> None:
    named = TEST_NAME.findall(text_of(path))
    assert len(named) == text_of(path).count("::")  # and none is named in another way
    assert [name for file, name in named if name not in defined_in(file)] == []


READMES = [path for path in PAGES if path.name == "README.md"]
PAIRS = [
    *((path, path.with_suffix(".zh-CN.md")) for path in READMES),
    *((ROOT / f"docs/{name}.md", ROOT / f"docs/zh-CN/{name}.md") for name in TRANSLATED),
]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].stem)
def test_a_translation_has_the_same_parts(pair: tuple[Path, Path]) -> None:
    english, chinese = map(text_of, pair)
    assert CHINESE.search(chinese)
    assert shape(english) == shape(chinese)


def shape(text: str) -> dict[str, object]:
    """What a translation leaves as it is: headings' levels, table rows, code without comments."""
    prose = FENCE.sub("", text)
    return {
        "headings": [marks for marks, _ in HEADING.findall(prose)],
        "rows": len(TABLE_ROW.findall(prose)),
        "code": [lines_of(block) for block in FENCE.findall(text)],
    }


def lines_of(block: str) -> list[str]:
    return [line.rstrip() for line in COMMENT.sub("", block).splitlines() if line.strip()]
