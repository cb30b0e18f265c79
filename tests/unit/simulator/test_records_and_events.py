"""What happened, as lists, as counters and live; and the manners of the control API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.simulator.simulator_loopback import Simulator

IPS = "/cgi-bin/getcallbackip"


def test_calls_come_in_pages(simulator: Simulator) -> None:
    for _ in range(3):
        simulator.api(IPS)

    first = simulator.control("GET", f"/calls?path={IPS}&limit=2")
    rest = simulator.control("GET", f"/calls?path={IPS}&after={first['next']}")

    assert (len(first["items"]), len(rest["items"])) == (2, 1)
    assert simulator.control("GET", "/counters")["calls"][IPS] == 3


def test_deliveries_are_in_the_order_of_their_sending(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")
    for text in ("一", "二", "三"):
        simulator.send(text)

    items = simulator.control("GET", "/deliveries")["items"]
    assert [item["content"]["content"] for item in items] == ["一", "二", "三"]


def test_pushes_are_kept_with_their_tries_and_their_answer(simulator: Simulator) -> None:
    told = simulator.buyer("text", content="在吗")

    [push] = simulator.control("GET", "/pushes")["items"]
    assert push["msg_id"] == told["msg_id"]
    assert push["attempts"][0]["body"] == "success"


def test_no_list_holds_a_secret(simulator: Simulator) -> None:
    simulator.api(IPS)
    simulator.classic()
    settings = simulator.control("GET", "/config")

    kept = json.dumps(simulator.control("GET", "/calls"))
    assert simulator.token not in kept
    assert not settings.keys() & {"app_secret", "token", "encoding_aes_key"}
    assert "0123456789abcdef0123456789abcdef" not in kept + json.dumps(settings)


def test_watchers_see_it_happen(simulator: Simulator) -> None:
    with simulator.raw("GET", "/_sim/events", stream=True) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b": listening"
        simulator.buyer("text", content="在吗")
        simulator.send("您好")

        kinds = _kinds(lines, "message_shown")
        assert kinds[:3] == ["said", "push_sent", "push_answered"]
        assert "token" in kinds


def test_a_watcher_who_was_away_catches_up(simulator: Simulator) -> None:
    simulator.buyer("text", content="在吗")

    with simulator.raw("GET", "/_sim/events?since=0", stream=True) as stream:
        assert _kinds(stream.iter_lines(), "push_answered")[0] == "said"


def _kinds(lines: Iterator[bytes], last: str) -> list[str]:
    kinds: list[str] = []
    for line in lines:
        if line.startswith(b"data: "):
            kinds.append(json.loads(line[6:])["kind"])
        if kinds and kinds[-1] == last:
            return kinds
    raise AssertionError(f"{last} never came: {kinds}")


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://localhost:3000"])
def test_pages_of_this_machine_may_use_it(simulator: Simulator, origin: str) -> None:
    for method in ("OPTIONS", "GET"):
        answer = simulator.raw(method, "/_sim/config", headers={"Origin": origin})
        assert answer.ok
        assert answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "http://127.0.0.10", "null"]
)
def test_pages_of_other_origins_may_not(simulator: Simulator, origin: str) -> None:
    answer = simulator.raw("POST", "/_sim/reset", headers={"Origin": origin})

    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_reset_forgets_all_but_the_settings(simulator: Simulator) -> None:
    simulator.configure(window_scope="user")
    simulator.merchant()
    simulator.buyer("text", content="在吗")
    simulator.advance(100)

    simulator.control("POST", "/reset")

    assert simulator.control("GET", "/merchants")["items"] == []
    assert simulator.phone() == []
    assert simulator.control("GET", "/counters") == {}
    assert simulator.control("GET", "/config")["window_scope"] == "user"
    simulator.control("POST", "/reset", {"settings": True})
    assert simulator.control("GET", "/config")["window_scope"] == "business"


@pytest.mark.parametrize(
    "settings",
    [
        {"no_such": 1},
        {"mode": "open"},
        {"format": "yaml"},
        {"encoding_aes_key": "short"},
        {"token_life_seconds": "long"},
        {"ip_whitelist": "127.0.0.1"},
        {"daily_limits": {"/a": "b"}},
    ],
)
def test_a_setting_that_cannot_be_changes_nothing(
    simulator: Simulator, settings: dict[str, Any]
) -> None:
    before = simulator.control("GET", "/config")

    answer = simulator.raw("PUT", "/_sim/config", json={"push_tries": 1} | settings)

    assert answer.status_code == 400
    assert next(iter(settings)) in answer.json()["error"]
    assert simulator.control("GET", "/config") == before


@pytest.mark.parametrize("seconds", [-1, "1", None, True])
def test_the_clock_only_goes_forward(simulator: Simulator, seconds: Any) -> None:
    answer = simulator.raw("POST", "/_sim/clock", json={"advance": seconds})

    assert answer.status_code == 400


def test_the_overview_names_every_route(simulator: Simulator) -> None:
    overview = simulator.control("GET", "/")

    for route in ("GET /_sim/events", "POST /_sim/buyers/{openid}/enter", "PUT /_sim/config"):
        assert route in overview
