"""The harness of `make fuzz`, without the fuzzer: its seeds, and that it can find something."""

from __future__ import annotations

import re

import pytest

from tests.fuzz import push_path
from tests.fuzz.push_path import BENDS, BrokenPromiseError, check, seeds
from wechat_kf.adapters.aws.inbound_queue import event_to_body
from wechat_kf.domain.events import Event
from wechat_kf.wechat import push_body


@pytest.fixture(scope="module")
def inputs() -> list[bytes]:
    return list(seeds())


def test_every_place_is_reached_with_pushes_that_are_taken(inputs: list[bytes]) -> None:
    taken = {data[0] for data in inputs if check(data)}
    assert taken == set(range(len(BENDS)))


def test_an_input_cut_short_is_refused_or_taken(inputs: list[bytes]) -> None:
    seen = {check(data[: len(data) * 2 // 3]) for data in inputs}
    assert seen == {True, False}


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", b"\xfe\xff", b"\5\0a=%ff&a;b&=&&\n\xff"])
def test_odd_inputs_are_no_fault_of_the_harness(data: bytes) -> None:
    assert not check(data)


def test_a_genuine_push_that_is_refused_is_found(
    inputs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_body, "_read_odd_template", lambda _: None)
    with pytest.raises(BrokenPromiseError, match=r"never refused for its text|who wrote"):
        [check(data) for data in inputs]


def test_a_text_that_changes_the_merchant_is_found(
    inputs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a reader that believes such fields wherever they stand
    monkeypatch.setattr(push_body, "_NAMES", re.compile("(?!)"))
    with pytest.raises(BrokenPromiseError, match="who wrote"):
        [check(data) for data in inputs]


def test_an_unexpected_exception_comes_out(
    inputs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Event:
        raise KeyError("unexpected")

    monkeypatch.setattr(push_path, "to_event", broken)
    with pytest.raises(KeyError):
        [check(data) for data in inputs]


def test_an_event_that_does_not_come_back_is_found(
    inputs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_path, "event_to_body", lambda _: '{"source":"/apps/a/merchants/0"}')
    with pytest.raises((BrokenPromiseError, KeyError)):
        [check(data) for data in inputs]


def test_a_body_that_sqs_refuses_is_found(
    inputs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_path, "event_to_body", lambda event: event_to_body(event) + "\uffff")
    with pytest.raises(BrokenPromiseError, match="SQS takes the body"):
        [check(data) for data in inputs]
