"""What the layer is built from is pinned whole, and says so in one place."""

from __future__ import annotations

import re

from generators.lock_layer import LAYER, LOCKED


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\]+)", text, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def test_the_lock_file_has_the_versions_that_the_requirements_name() -> None:
    wanted = pins((LAYER / "requirements.txt").read_text())
    locked = pins(LOCKED.read_text())
    assert wanted.items() <= locked.items()


def test_every_package_of_the_lock_file_has_a_hash() -> None:
    entries = LOCKED.read_text().split("\n\n")[-1]
    blocks = re.split(r"\n(?=[A-Za-z0-9])", entries)
    packages = [block for block in blocks if re.match(r"[A-Za-z0-9._-]+==", block)]
    assert len(packages) == len(pins(LOCKED.read_text())) >= 15
    assert all("--hash=sha256:" in block for block in packages)


def test_the_layer_is_built_from_the_lock_file_alone() -> None:
    recipe = (LAYER / "Makefile").read_text()
    assert "--require-hashes --no-deps" in recipe
    assert "--requirement requirements-locked.txt" in recipe
