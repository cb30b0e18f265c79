"""Bodies are UTF-8: what people wrote stays readable, and nothing breaks the response."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.merchants_app import MerchantsApp
from tests.messages_app import MessagesApp
from wechat_kf.api.json_bodies import read_json, write_json
from wechat_kf.domain.merchants.merchant import Merchant

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


def test_chinese_and_emoji_are_not_escaped() -> None:
    app = MerchantsApp()
    app.store.add(Merchant("42", "shop_0042", "苹果旗舰店"))
    assert "苹果旗舰店" in app.call("GET", "/merchants/42")["body"]
    assert "联系客服" in app.call("GET", "/merchants/42/contact-button")["body"]
    assert write_json({"text": "好的👍"}) == '{"text":"好的👍"}'


def test_a_lone_surrogate_in_a_callers_field_breaks_no_response() -> None:
    answer = MessagesApp().call("POST", "/merchants/42/messages", '{"\\ud800": 1}')
    assert answer["statusCode"] == 400
    answer["body"].encode()


@given(VALUES | st.text(st.characters(categories=["Cs"])))
def test_whatever_is_written_is_utf_8_and_reads_back(value: object) -> None:
    text = write_json(value)
    text.encode()
    assert json.loads(text) == json.loads(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "nan?", "1" * 5000, "[" + "1" * 5000 + "]"])
def test_what_is_no_json_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_json(text)
