"""Stages the site's pages from the Markdown that GitHub shows, so that both say the same.

    python -m generators.site_pages     writes .local/site/pages/en and zh

English pages are those of `docs/`, Chinese ones those of `docs/zh-CN/`, and some files of other
folders are pages too. Links to what is no page lead to the repository, whose address is taken from
REPOSITORY_URL; without it they become plain text. A link to a file that does not exist is an error.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / ".local" / "site" / "pages"

CHINESE = "zh-CN"

ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "events/README.md": "sample-events.md",
    "examples/README.md": "examples.md",
    "tests/chaos/RESULTS.md": "chaos.md",
    "tests/fuzz/RESULTS.md": "fuzzing.md",
}
"""Pages that do not lie in `docs/`, by their file, relative to the root."""

API = "http-api.md"

REFERENCE = """
## Reference

<swagger-ui src="openapi.yaml"/>
"""

EVENTS = """# Events as AsyncAPI

The document for generators: [asyncapi.yaml](asyncapi.yaml), which holds the schema of
each event's `data`. What each event means, and how it arrives: [events and webhooks](events.md).

```yaml
{document}
```
"""

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
SWITCH = re.compile(r"(?:^\n?| · )\[(?:中文|English)\]\([^)\s]+\)$", re.MULTILINE)
"""The way to the same page in the other language; the site's head has one."""
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


class BrokenLinkError(Exception):
    """A page links to a file that is not there."""


@dataclass(frozen=True)
class Page:
    """One page: its file in the repository, its language, and its place on the site."""

    source: PurePosixPath
    language: str
    place: PurePosixPath


def pages(root: Path = ROOT) -> list[Page]:
    """List all pages, Chinese ones included."""
    return list(_pages(root))


def _pages(root: Path) -> Iterator[Page]:
    for file, name in ELSEWHERE.items():
        source, place = PurePosixPath(file), PurePosixPath(name)
        yield Page(source, "en", place)
        translation = source.with_suffix(f".{CHINESE}.md")
        if (root / translation).exists():
            yield Page(translation, "zh", place)
    for path in sorted((root / "docs").rglob("*.md")):
        source = PurePosixPath(path.relative_to(root).as_posix())
        place = source.relative_to("docs")
        if place.parts[0] == CHINESE:
            yield Page(source, "zh", place.relative_to(CHINESE))
        else:
            yield Page(source, "en", place)


def stage(root: Path = ROOT, target: Path = PAGES, repository: str = "") -> None:
    """Write all pages below `target`, and the files they show; whatever was there is removed.

    A page without a translation is written in English for Chinese readers too. Raises
    BrokenLinkError for a link to a file that is not there.
    """
    shutil.rmtree(target, ignore_errors=True)
    listed = pages(root)
    english = {page.place: page for page in listed if page.language == "en"}
    chinese = english | {page.place: page for page in listed if page.language == "zh"}
    places = {page.source: page.place for page in listed}
    for language, shown in (("en", english), ("zh", chinese)):
        folder = target / language
        for page in shown.values():
            text = _with_links(root, page, places, shown, repository)
            _write(folder / page.place, text + (REFERENCE if page.place.name == API else ""))
        _write(folder / "decisions.md", _decisions(root))
        _add_files(root, folder)


def _add_files(root: Path, folder: Path) -> None:
    """Add what pages show or link and what is no page."""
    docs = root / "docs"
    document = (docs / "asyncapi.yaml").read_text(encoding="utf-8")
    _write(folder / "asyncapi.md", EVENTS.format(document=document))
    # The renderer stands in a frame, where links between pages lead nowhere.
    api = (docs / "openapi.yaml").read_text(encoding="utf-8")
    _write(folder / "openapi.yaml", re.sub(r"\[([^\]]*)\]\([\w-]+\.md[^)]*\)", r"\1", api))
    for name in ("asyncapi.yaml", f"error-texts.{CHINESE}.json"):
        shutil.copy(docs / name, folder / name)
    for name in ("images", "schemas"):
        shutil.copytree(docs / name, folder / name)


def _decisions(root: Path) -> str:
    """List the records of decisions, by their titles."""
    rows = ["# Decisions", "", "What was decided, why, and what else was considered.", ""]
    for path in sorted((root / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        rows.append(f"- [{title}](decisions/{path.name})")
    return "\n".join(rows) + "\n"


def _with_links(
    root: Path,
    page: Page,
    places: Mapping[PurePosixPath, PurePosixPath],
    shown: Mapping[PurePosixPath, Page],
    repository: str,
) -> str:
    """Return a page's text with its links leading to pages of the site, or to the repository."""

    def lead(match: re.Match[str]) -> str:
        mark, text, address = match.groups()
        if ":" in address or address.startswith("#"):
            return match[0]
        path, _, anchor = address.partition("#")
        goal = PurePosixPath(os.path.normpath(page.source.parent / path))
        if not (root / goal).exists():
            raise BrokenLinkError(f"{page.source}: {address}")
        place = _place_of(goal, places)
        if place is None:
            return f"[{text}]({repository}/blob/main/{goal})" if repository else text
        # The headings of a translation have other anchors: lead to its beginning.
        same = place not in shown or shown[place].source == goal
        link = os.path.relpath(place, page.place.parent)
        return f"{mark}[{text}]({link}{'#' + anchor if anchor and same else ''})"

    parts = CODE.split((root / page.source).read_text(encoding="utf-8"))
    # Code is set aside: a link's text may hold some, and no code holds a link.
    code = {f"\0{number}\0": part for number, part in enumerate(parts) if number % 2}
    marked = "".join(f"\0{number}\0" if number % 2 else part for number, part in enumerate(parts))
    linked = LINK.sub(lead, SWITCH.sub("", marked))
    for mark, part in code.items():
        linked = linked.replace(mark, part)
    return linked


def _place_of(
    goal: PurePosixPath, places: Mapping[PurePosixPath, PurePosixPath]
) -> PurePosixPath | None:
    if goal in places:
        return places[goal]
    if goal.parts[0] == "docs" and goal.suffix:
        return goal.relative_to("docs")
    return PurePosixPath("decisions.md") if goal == PurePosixPath("docs/decisions") else None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> int:
    try:
        stage(repository=os.environ.get("REPOSITORY_URL", "").rstrip("/"))
    except BrokenLinkError as error:
        print(f"broken link: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
