"""The send windows: 5 in 48 h, 2 in 1 minute, the maximum and never the sum (section 6)."""

from typing import Any

import pytest

from tests.unit.simulator.simulator_loopback import BUYER, Simulator

MINUTE, HOUR = 60, 3600


def _sent_until_refused(simulator: Simulator, **as_merchant: Any) -> tuple[int, int]:
    """How many messages went through, and the errcode that ended it."""
    for count in range(20):
        errcode = simulator.send(**as_merchant)["errcode"]
        if errcode:
            return count, errcode
    raise AssertionError("no end to it")


def test_who_never_acted_is_no_openid(simulator: Simulator) -> None:
    assert simulator.send()["errcode"] == 40003


def test_a_message_allows_five(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")

    assert _sent_until_refused(simulator) == (5, 45047)


def test_entering_allows_two(simulator: Simulator) -> None:
    simulator.buyer("enter")

    assert _sent_until_refused(simulator) == (2, 45047)


@pytest.mark.parametrize(
    ("act", "seconds"), [("enter", MINUTE), ("text", 48 * HOUR), ("image", 48 * HOUR)]
)
def test_a_window_closes_on_time(simulator: Simulator, act: str, seconds: int) -> None:
    simulator.buyer(act, content="在吗")

    simulator.advance(seconds - 1)
    assert simulator.send()["errcode"] == 0
    simulator.advance(1)
    assert simulator.send()["errcode"] == 45015


def test_allowances_do_not_add_up(simulator: Simulator) -> None:
    for act in ("enter", "text", "text", "enter"):
        simulator.buyer(act, content="在吗")

    assert _sent_until_refused(simulator) == (5, 45047)


def test_entering_gives_two_back_within_the_window_of_a_message(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    _sent_until_refused(simulator)
    simulator.buyer("enter")

    simulator.advance(2 * MINUTE)  # the later of both deadlines applies

    assert _sent_until_refused(simulator) == (2, 45047)


def test_entering_leaves_a_larger_allowance_alone(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    simulator.send()
    simulator.buyer("enter")

    assert _sent_until_refused(simulator) == (4, 45047)


def test_a_refused_message_costs_nothing(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    for _ in range(3):
        assert simulator.send("")["errcode"] == 44004

    assert _sent_until_refused(simulator) == (5, 45047)


def test_windows_belong_to_one_sub_merchant_by_default(simulator: Simulator) -> None:
    one, other = simulator.merchant("shop_0001"), simulator.merchant("shop_0002")
    simulator.buyer("text", business_id=one, content="在吗")

    assert simulator.send(businessid=other)["errcode"] == 45015
    assert _sent_until_refused(simulator, businessid=one) == (5, 45047)


def test_windows_can_belong_to_the_buyer(simulator: Simulator) -> None:
    one, other = simulator.merchant("shop_0001"), simulator.merchant("shop_0002")
    simulator.configure(window_scope="user")
    simulator.buyer("text", business_id=one, content="在吗")

    assert simulator.send(businessid=other)["errcode"] == 0
    assert _sent_until_refused(simulator, businessid=one) == (4, 45047)


def test_the_phone_tells_what_the_window_still_allows(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    simulator.send("您好")

    [conversation] = simulator.phone()
    assert conversation["window"]["remaining"] == 4
    assert [message["text"] for message in conversation["messages"]] == ["在吗", "您好"]


def test_the_phone_shows_each_message_under_the_merchants_name(simulator: Simulator) -> None:
    names = {"shop_0001": "苹果店", "shop_0002": "梨子店"}
    for business_id in [simulator.merchant(*name) for name in names.items()]:
        simulator.buyer("text", business_id=business_id, content="在吗")
        simulator.send("您好", businessid=business_id)

    items = simulator.control("GET", f"/buyers/{BUYER}/messages")["items"]
    shown = [item["nickname"] for item in items if item["sender"] == "merchant"]
    assert shown == ["苹果店", "梨子店"]


@pytest.mark.parametrize(("length", "errcode"), [(682, 0), (683, 45002)])
def test_texts_are_measured_in_utf8_bytes(simulator: Simulator, length: int, errcode: int) -> None:
    simulator.buyer("text", content="在吗")

    assert simulator.send("长" * length)["errcode"] == errcode


@pytest.mark.parametrize("path", ["business/send", "send"])
def test_a_sub_merchant_must_exist(simulator: Simulator, path: str) -> None:
    simulator.buyer("text", content="在吗")
    envelope = {"touser": BUYER, "msgtype": "text", "text": {"content": "您好"}, "businessid": 9}

    assert simulator.api(f"/cgi-bin/message/custom/{path}", envelope)["errcode"] == 45071
