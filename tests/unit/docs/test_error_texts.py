"""docs/error-texts.zh-CN.json: every code that a caller can meet, in Chinese."""

from __future__ import annotations

import json
import re

from generators import openapi
from generators.errors_page import ERRORS
from wechat_kf.api.retry_hints import HINTS
from wechat_kf.domain.messages.attempt import ABANDONED
from wechat_kf.domain.messages.message import EXPIRED
from wechat_kf_cli.stack.state import ROOT

TEXTS = json.loads((ROOT / "docs" / "error-texts.zh-CN.json").read_text(encoding="utf-8"))


def codes() -> set[str]:
    catalogue = openapi.document()["components"][ERRORS]
    return {*catalogue["own"], *catalogue["wechat"], EXPIRED, ABANDONED.failure.code}


def test_every_code_has_a_chinese_meaning() -> None:
    assert [code for code in sorted(codes()) if code not in TEXTS] == []
    chinese = re.compile("[\u4e00-\u9fff]")
    assert [code for code, text in TEXTS.items() if not chinese.search(text["meaning"])] == []


def test_every_advice_is_given_in_chinese_too() -> None:
    assert [code for code in HINTS if code in codes() and "advice" not in TEXTS[code]] == []
