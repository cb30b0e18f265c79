"""Interpreters are found on PATH and among pyenv's, and only if they start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.rehearsal.pythons import find_python

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_one_on_path_comes_first(places: Path) -> None:
    found = executable(places / "bin" / "python3.99", "echo 3.99")
    executable(places / "pyenv/versions/3.99.1/bin/python3.99", "echo 3.99")
    assert find_python("3.99") == found


def test_a_shim_that_refuses_is_passed_over(places: Path) -> None:
    executable(places / "bin" / "python3.99", "echo 'pyenv: command not found' >&2; exit 127")
    found = executable(places / "pyenv/versions/3.99.1/bin/python3.99", "echo 3.99")
    assert find_python("3.99") == found


def test_one_of_another_version_is_not_it(places: Path) -> None:
    executable(places / "bin" / "python3.99", "echo 3.98")
    assert find_python("3.99") is None


def test_a_real_one_is_asked_for_its_version(places: Path) -> None:
    found = executable(places / "bin" / f"python{VERSION}", f'exec "{sys.executable}" "$@"')
    assert find_python(VERSION) == found
