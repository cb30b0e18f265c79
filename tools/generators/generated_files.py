"""Write generated documents, or find those that are stale."""

from collections.abc import Mapping
from pathlib import Path

from wechat_kf_cli.stack.state import ROOT


def stale(files: Mapping[Path, str]) -> list[Path]:
    """Return the files whose content differs from what was generated."""
    return [
        path
        for path, content in files.items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def write(files: Mapping[Path, str]) -> None:
    """Write the stale files, and print their names."""
    for path in stale(files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        print(f"written: {path.relative_to(ROOT)}")
