"""What is generated from the code and the template is not stale, and is written when it is."""

from pathlib import Path
from types import ModuleType

import pytest

from generators import configuration_page, event_schemas, generated_files, openapi


@pytest.mark.parametrize(
    "generator", [configuration_page, event_schemas, openapi], ids=lambda module: module.__name__
)
def test_no_generated_file_is_stale(generator: ModuleType) -> None:
    assert generated_files.stale(generator.files()) == [], "run `make docs`"


def test_only_stale_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generated_files, "ROOT", tmp_path)
    (tmp_path / "same.md").write_text("一")
    (tmp_path / "stale.md").write_text("old")
    made = {"same.md": "一", "stale.md": "二", "new/page.md": "三"}
    generated_files.write({tmp_path / name: text for name, text in made.items()})
    assert {name: (tmp_path / name).read_text("utf-8") for name in made} == made
    assert capsys.readouterr().out == "written: stale.md\nwritten: new/page.md\n"
