"""Ids of messages lead to their rows, and nowhere else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_kf.domain.messages.message_ids import (
    MESSAGE_ID,
    log_id,
    message_id_at,
    message_key,
    new_message_id,
)

NOW = 1_767_225_600_000


@given(openid=st.text(min_size=1, max_size=30), at=st.integers(0, 10**13 - 1))
def test_an_id_leads_to_buyer_and_position(openid: str, at: int) -> None:
    message_id = new_message_id(openid, at)
    key = message_key(message_id)
    assert key is not None
    assert (key.openid, key.accepted_at) == (openid, at)
    assert message_id_at(openid, key.position) == message_id
    assert re.fullmatch(r"[0-9A-Za-z_-]+", message_id)


def test_the_longest_openid_of_the_api_has_an_id() -> None:
    message_id = new_message_id("o" * 128, NOW)
    assert re.fullmatch(MESSAGE_ID, message_id)
    assert message_key(message_id) is not None


def test_two_messages_of_one_moment_have_two_ids() -> None:
    assert new_message_id("buyer", NOW) != new_message_id("buyer", NOW)


def test_what_is_unique_is_given_where_the_id_has_to_repeat() -> None:
    assert new_message_id("buyer", NOW, "ab" * 16) == new_message_id("buyer", NOW, "ab" * 16)
    assert new_message_id("buyer", NOW, "ab" * 16) != new_message_id("buyer", NOW, "cd" * 16)


def test_positions_sort_by_time() -> None:
    ids = [new_message_id("buyer", at) for at in (0, 999, NOW, NOW + 1)]
    assert sorted(ids) == ids


def test_a_log_names_the_message_and_not_the_buyer() -> None:
    one, other = (new_message_id(openid, NOW, "ab" * 6) for openid in ("buyer", "somebody"))
    assert log_id(one) == log_id(other) == f"{NOW}s{'ab' * 6}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 32,
        f"{NOW}s{'ab' * 6}",  # nobody's
        f"{NOW}s{'ab' * 6}A",  # no base64
        f"{NOW}s{'ab' * 6}_w",  # no UTF-8
        f"{NOW}r{'ab' * 6}YnV5ZXI",  # a received message's
        f"{NOW}s{'AB' * 6}YnV5ZXI",
        f"{NOW}s{'ab' * 6}YnV5ZXI=",
        f"{NOW}s{'ab' * 6}YnV5ZXI\n",
        f"{NOW}s{'ab' * 6}" + "A" * 173,
    ],
)
def test_any_other_text_leads_nowhere(text: str) -> None:
    assert message_key(text) is None
