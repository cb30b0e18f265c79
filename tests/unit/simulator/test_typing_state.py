"""The typing state: 15 s, within 30 s of an exchange, ended by a message (section 5)."""

from typing import Any

import pytest

from tests.unit.simulator.simulator_loopback import BUYER, Simulator


def _type(simulator: Simulator, command: str = "Typing", **more: Any) -> int:
    document = {"touser": BUYER, "command": command, **more}
    answer = simulator.api("/cgi-bin/message/custom/business/typing", document)
    errcode: int = answer["errcode"]
    return errcode


def _shown(simulator: Simulator) -> bool:
    shown: bool = simulator.phone()[0]["typing"]
    return shown


@pytest.fixture
def asked(simulator: Simulator) -> Simulator:
    simulator.buyer("text", content="在吗")
    return simulator


def test_it_is_shown_for_fifteen_seconds(asked: Simulator) -> None:
    assert _type(asked) == 0
    asked.advance(14)
    assert _shown(asked)
    asked.advance(1)
    assert not _shown(asked)


def test_it_cannot_be_issued_again_while_it_lasts(asked: Simulator) -> None:
    _type(asked)
    asked.advance(14)
    assert _type(asked) == 45081
    asked.advance(1)
    assert _type(asked) == 0


def test_it_can_be_cancelled(asked: Simulator) -> None:
    _type(asked)

    assert _type(asked, "CancelTyping") == 0
    assert not _shown(asked)
    assert _type(asked) == 0


def test_a_message_ends_it(asked: Simulator) -> None:
    _type(asked)

    asked.send()

    assert not _shown(asked)


def test_it_needs_an_exchange_within_thirty_seconds(asked: Simulator) -> None:
    asked.advance(31)
    assert _type(asked) == 45080
    asked.send()  # our own message is an exchange as well
    assert _type(asked) == 0


def test_it_needs_an_open_window(simulator: Simulator) -> None:
    simulator.buyer("enter")
    simulator.advance(60)

    assert _type(simulator) == 45015


@pytest.mark.parametrize("command", ["typing", "TYPING", "", "Cancel"])
def test_the_command_minds_its_case(asked: Simulator, command: str) -> None:
    assert _type(asked, command) == 45072


def test_it_needs_a_known_buyer(simulator: Simulator) -> None:
    assert _type(simulator) == 40003


def test_each_conversation_has_its_own(asked: Simulator) -> None:
    merchant = asked.merchant()
    asked.buyer("text", business_id=merchant, content="在吗")

    assert _type(asked) == 0
    assert _type(asked, businessid=merchant) == 0
