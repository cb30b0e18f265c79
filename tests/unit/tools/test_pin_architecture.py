"""The built template takes no other processor than its layer's."""

from __future__ import annotations

from pathlib import Path

import pytest

from generators.pin_architecture import main, pin
from wechat_kf_cli.stack.state import ROOT

BUILT = """\
Parameters:
  AppId:
    Type: String
    Default: ''
  Architecture:
    Type: String
    Description: Processor of the functions.
    AllowedValues:
    - arm64
    - x86_64
    Default: arm64
  LogLevel:
    Type: String
    AllowedValues:
    - INFO
    - DEBUG
    Default: INFO
"""
PINNED = """\
  Architecture:
    Type: String
    Description: Processor of the functions.
    AllowedValues: [x86_64]
    Default: x86_64
  LogLevel:
"""


def test_one_processor_is_left_and_all_else_stays() -> None:
    pinned = pin(BUILT, "x86_64")
    assert PINNED in pinned
    before, after = BUILT.splitlines(), pinned.splitlines()
    assert after[:4] == before[:4]
    assert after[-6:] == before[-6:]


def test_the_templates_own_parameter_can_be_bound(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text((ROOT / "template.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    main([str(template), "x86_64"])
    assert "    AllowedValues: [x86_64]\n    Default: x86_64\n" in template.read_text("utf-8")


def test_a_template_without_the_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="no parameter Architecture"):
        pin("Parameters:\n  Other:\n    Type: String\n", "arm64")
