"""Faults on demand: what goes wrong, how often, and whether the call had its effect."""

import time
from typing import Any

import pytest
import requests

from tests.unit.simulator.simulator_loopback import BUYER, Receiver, Simulator, slowly

IPS = "/cgi-bin/getcallbackip"
SEND = "/cgi-bin/message/custom/send"


def _delivered(simulator: Simulator) -> int:
    return len(simulator.control("GET", "/deliveries")["items"])


def test_a_fault_strikes_as_often_as_ordered(simulator: Simulator) -> None:
    simulator.fault(kind="busy", match=IPS, times=2)

    codes = [simulator.api(IPS).get("errcode", 0) for _ in range(3)]

    assert codes == [-1, -1, 0]


def test_a_fault_strikes_only_where_it_matches(simulator: Simulator) -> None:
    simulator.fault(kind="errcode:70000", match="/cgi-bin/message/")
    simulator.buyer("text", content="在吗")

    assert "errcode" not in simulator.api(IPS)
    assert simulator.send()["errcode"] == 70000
    assert _delivered(simulator) == 0


def test_a_fault_can_be_for_one_buyer(simulator: Simulator) -> None:
    simulator.fault(kind="errcode:43019", match=SEND, openid="oOther")
    simulator.buyer("text", content="在吗")

    assert simulator.send()["errcode"] == 0


def test_a_probability_with_a_seed_repeats_itself(simulator: Simulator) -> None:
    def pattern() -> list[bool]:
        simulator.control("DELETE", "/faults")
        simulator.fault(kind="busy", match=IPS, probability=0.5, seed=42)
        return ["errcode" in simulator.api(IPS) for _ in range(30)]

    first = pattern()
    assert first == pattern()
    assert 5 < sum(first) < 25


def test_faults_can_be_taken_back(simulator: Simulator) -> None:
    simulator.fault(kind="busy")
    simulator.control("DELETE", "/faults")

    assert "errcode" not in simulator.api(IPS)


@pytest.mark.parametrize(("kind", "delivered"), [("cut_before", 0), ("cut_after", 1)])
def test_a_cut_leaves_no_answer(simulator: Simulator, kind: str, delivered: int) -> None:
    simulator.buyer("text", content="在吗")
    simulator.stable()
    simulator.fault(kind=kind, match=SEND, times=1)

    with pytest.raises(requests.ConnectionError):
        simulator.send()
    assert _delivered(simulator) == delivered


def test_a_hanging_call_has_no_effect(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    token = simulator.stable()["access_token"]
    simulator.fault(kind="hang", match=SEND, times=1)
    message: dict[str, Any] = {"touser": BUYER, "msgtype": "text", "text": {"content": "您好"}}

    with pytest.raises(requests.ReadTimeout):
        requests.post(
            simulator.url + SEND, params={"access_token": token}, json=message, timeout=0.1
        )
    assert _delivered(simulator) == 0


def test_a_slow_call_is_done_and_answered_late(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    simulator.fault(kind="slow:80", match=SEND, times=1)
    started = time.perf_counter()

    assert simulator.send()["errcode"] == 0
    assert time.perf_counter() - started >= 0.08
    assert _delivered(simulator) == 1


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("http_500", 500, None),
        ("html", 200, "text/html"),
        ("wrong_content_type", 200, "application/octet-stream"),
    ],
)
def test_answers_can_be_no_answers(
    simulator: Simulator, kind: str, status: int, content_type: str | None
) -> None:
    simulator.stable()
    simulator.fault(kind=kind, match=IPS, times=1)

    answer = simulator.call(IPS)

    assert answer.status_code == status
    assert content_type is None or answer.headers["Content-Type"] == content_type


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"kind": "flood"},
        {"kind": "slow"},
        {"kind": "errcode:x"},
        {"kind": "busy:1"},
        {"kind": "busy", "times": 0},
        {"kind": "busy", "probability": 2},
    ],
)
def test_an_order_that_makes_no_sense_is_explained(
    simulator: Simulator, order: dict[str, Any]
) -> None:
    answer = simulator.raw("POST", "/_sim/faults", json=order)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_a_push_without_an_answer_in_time_is_tried_three_times(
    simulator: Simulator, receiver: Receiver
) -> None:
    simulator.configure(push_deadline_seconds=0.2)
    receiver.answer = slowly(1)

    told = simulator.buyer("text", content="在吗")

    assert [attempt["error"] for attempt in told["attempts"]] == ["timeout"] * 3
    assert told["accepted"] is False
    assert [message["sender"] for message in simulator.phone()[0]["messages"]] == [
        "buyer",
        "notice",
    ]


def test_bad_answers_need_not_be_tried_again(simulator: Simulator, receiver: Receiver) -> None:
    simulator.configure(retry_on="timeout")
    receiver.answer = lambda _request: (500, b"")

    assert len(simulator.buyer("text", content="在吗")["attempts"]) == 1


def test_a_push_that_nobody_takes_is_told(simulator: Simulator) -> None:
    simulator.configure(push_url="http://127.0.0.1:1/", push_tries=1)

    told = simulator.buyer("text", content="在吗")

    assert told["accepted"] is False
    assert told["attempts"][0]["status"] is None


def test_an_attacker_can_push_whatever(simulator: Simulator, receiver: Receiver) -> None:
    order = {"query": {"signature": "forged"}, "body": "<xml>", "headers": {"X-A": "b"}}

    answer = simulator.control("POST", "/push-raw", order)

    assert answer["status"] == 200
    assert receiver.requests[0]["body"] == b"<xml>"
    assert receiver.requests[0]["query"] == {"signature": "forged"}


def test_entering_can_come_without_its_business_id(
    simulator: Simulator, receiver: Receiver
) -> None:
    merchant = simulator.merchant()
    simulator.configure(mode="plain", format="json")
    for included in (True, False):
        simulator.configure(include_business_id_on_enter=included)
        simulator.buyer("enter", business_id=merchant)

    assert [b'"BusinessId":1' in push["body"] for push in receiver.requests] == [True, False]


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("plain", {"signature", "timestamp", "nonce", "openid"}),
        (
            "compatible",
            {"signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature"},
        ),
        ("secure", {"signature", "timestamp", "nonce", "openid", "encrypt_type", "msg_signature"}),
    ],
)
def test_each_mode_has_its_query(
    simulator: Simulator, receiver: Receiver, mode: str, names: set[str]
) -> None:
    simulator.buyer("text", content="在吗", mode=mode)

    [push] = receiver.requests
    assert push["query"].keys() == names
    assert (b"Encrypt" in push["body"]) is (mode != "plain")
    assert ("在吗".encode() in push["body"]) is (mode != "secure")
