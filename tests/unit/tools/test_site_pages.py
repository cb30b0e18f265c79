"""The site: its pages say what the repository's say, and every link of theirs leads somewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from generators.site_pages import BrokenLinkError, stage
from wechat_kf_cli.stack.state import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A small clone with one page a language and a file that is no page."""
    root = tmp_path / "clone"
    for name in (
        "README.md",
        "README.zh-CN.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "benchmarks/RESULTS.md",
        "events/README.md",
        "examples/README.md",
        "examples/call.py",
        "tests/chaos/RESULTS.md",
        "tests/fuzz/RESULTS.md",
        "docs/openapi.yaml",
        "docs/asyncapi.yaml",
        "docs/error-texts.zh-CN.json",
        "docs/http-api.md",
        "docs/zh-CN/events.md",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("", encoding="utf-8")
    for folder in ("images", "schemas"):
        (root / "docs" / folder).mkdir()
    return root


def staged(root: Path, text: str, page: str = "docs/events.md", repository: str = "") -> str:
    (root / page).write_text(text, encoding="utf-8")
    stage(root, root / "out", repository)
    language, place = ("zh", page[11:]) if "zh-CN" in page else ("en", page[5:])
    return (root / "out" / language / place).read_text(encoding="utf-8")


def test_a_link_to_a_page_leads_to_its_place_on_the_site(clone: Path) -> None:
    assert staged(clone, "[x](../README.md#y), [y](http-api.md)") == (
        "[x](index.md#y), [y](http-api.md)"
    )


def test_a_chinese_page_leads_to_pages_of_its_own_language(clone: Path) -> None:
    (clone / "docs" / "cost.md").write_text("", encoding="utf-8")
    page = "docs/zh-CN/sending.md"
    assert staged(clone, "[x](events.md) [y](../cost.md)", page) == "[x](events.md) [y](cost.md)"


@pytest.mark.parametrize(
    ("page", "switch", "kept"),
    [
        ("docs/events.md", "\n[中文](zh-CN/events.md)\n", "\n"),
        ("docs/zh-CN/events.md", "\n[English](../events.md)\n", "\n"),
        ("docs/events.md", "Words. · [中文](zh-CN/events.md)\n", "Words.\n"),
        ("docs/events.md", "In [中文](zh-CN/events.md) too\n", "In [中文](events.md) too\n"),
    ],
)
def test_the_site_has_a_switch_of_languages_of_its_own(
    page: str, switch: str, kept: str, clone: Path
) -> None:
    (clone / "docs" / "events.md").write_text("", encoding="utf-8")
    assert staged(clone, f"# Events\n{switch}\nMore.", page) == f"# Events\n{kept}\nMore."


def test_a_page_of_another_folder_is_chinese_where_it_is_translated(clone: Path) -> None:
    (clone / "examples" / "README.zh-CN.md").write_text("示例", encoding="utf-8")
    page = staged(clone, "[x](../../examples/README.zh-CN.md)", "docs/zh-CN/sending.md")
    assert page == "[x](examples.md)"
    assert (clone / "out/zh/examples.md").read_text(encoding="utf-8") == "示例"
    assert (clone / "out/en/examples.md").read_text(encoding="utf-8") == ""


def test_a_link_into_a_translated_page_leads_to_its_beginning(clone: Path) -> None:
    (clone / "docs" / "events.md").write_text("", encoding="utf-8")
    staged(clone, "[x](events.md#y)", "docs/cost.md")
    stage(clone, clone / "out")
    assert (clone / "out/en/cost.md").read_text(encoding="utf-8") == "[x](events.md#y)"
    assert (clone / "out/zh/cost.md").read_text(encoding="utf-8") == "[x](events.md)"


def test_a_link_to_another_file_leads_to_the_repository_when_it_is_known(clone: Path) -> None:
    text = "[`call`](../examples/call.py)"
    assert staged(clone, text) == "`call`"
    there = "https://example.com/r/blob/main/examples/call.py"
    assert staged(clone, text, repository="https://example.com/r") == f"[`call`]({there})"


def test_code_stays_as_it_is(clone: Path) -> None:
    text = "`[a](b)`\n\n```\n[c](d)\n```\n"
    assert staged(clone, text) == text


def test_a_link_to_a_file_that_is_missing_is_an_error(clone: Path) -> None:
    with pytest.raises(BrokenLinkError, match=r"docs/events\.md: nowhere\.md"):
        staged(clone, "[x](nowhere.md)")


def test_the_site_is_built_strictly_in_both_languages(tmp_path: Path) -> None:
    stage(ROOT, tmp_path / "pages")
    config = tmp_path / "mkdocs.yml"
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    config.write_text(text.replace(".local/site/", ""), encoding="utf-8")
    build = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}

    done = subprocess.run(build, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "http-api/index.html", "zh/index.html", "zh/events/index.html"):
        assert (tmp_path / "html" / page).exists()
    frames = list((tmp_path / "html").rglob("swagger-*.html"))
    assert frames
    assert not [frame for frame in frames if "https://" in frame.read_text(encoding="utf-8")]

    changed = tmp_path / "pages" / "en" / "limits.md"
    changed.write_text("[x](events.md#no-such-heading)", encoding="utf-8")
    done = subprocess.run(build, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert "no-such-heading" in done.stderr
