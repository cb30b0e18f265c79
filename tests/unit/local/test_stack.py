"""A stack that is found up is used only if it runs this very code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local import stack


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    """Of a stack that is up."""
    monkeypatch.setattr(stack, "is_up", lambda _: True)
    return StateDirectory(tmp_path)


def made_from(sources: str) -> StackInfo:
    known: dict[str, Any] = dict.fromkeys(StackInfo.__dataclass_fields__, "x")
    return StackInfo(**{**known, "outputs": {}, "sources": sources})


def test_one_of_the_same_code_is_used_as_it_is(state: StateDirectory) -> None:
    state.write(made_from(stack.sources_digest()))
    assert stack.up(state, stack.Progress()) == state.read()


def test_one_of_other_code_is_not_taken_for_this(state: StateDirectory) -> None:
    state.write(made_from("older"))
    with pytest.raises(StackError, match="wechat-kf down"):
        stack.up(state, stack.Progress())
