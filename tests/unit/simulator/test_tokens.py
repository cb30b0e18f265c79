"""Access tokens of the simulator: docs/wechat-api.md, section 9."""

from typing import Any

import pytest

from tests.unit.simulator.simulator_loopback import SECRET, Simulator, as_json


def errcode(simulator: Simulator, token: str) -> int:
    """What a call made with this token is answered."""
    answer = simulator.raw("GET", "/cgi-bin/getcallbackip", params={"access_token": token}).json()
    return int(answer.get("errcode", 0))


def test_a_stable_token_stays_the_same_until_its_last_five_minutes(simulator: Simulator) -> None:
    first = simulator.stable()
    simulator.advance(6899)
    later = simulator.stable()
    assert first["expires_in"] == 7200
    assert later == {"access_token": first["access_token"], "expires_in": 301}


def test_in_the_last_five_minutes_the_old_and_the_new_token_overlap(simulator: Simulator) -> None:
    old = simulator.stable()["access_token"]
    simulator.advance(7000)
    new = simulator.stable()
    assert new["access_token"] != old
    assert new["expires_in"] == 7200
    simulator.advance(299)
    assert errcode(simulator, old) == 0
    simulator.advance(1)
    assert errcode(simulator, old) == 42001
    assert errcode(simulator, new["access_token"]) == 0


def test_a_token_that_nobody_replaces_expires(simulator: Simulator) -> None:
    token = simulator.stable()["access_token"]
    simulator.advance(7199)
    assert errcode(simulator, token) == 0
    simulator.advance(1)
    assert errcode(simulator, token) == 42001


def test_each_classic_call_issues_a_new_token_and_the_old_one_lasts_five_minutes(
    simulator: Simulator,
) -> None:
    old = simulator.classic()["access_token"]
    new = simulator.classic()["access_token"]
    assert old != new
    simulator.advance(299)
    assert errcode(simulator, old) == 0
    simulator.advance(1)
    assert errcode(simulator, old) == 40001
    assert errcode(simulator, new) == 0


def test_the_two_families_do_not_disturb_each_other(simulator: Simulator) -> None:
    stable, classic = simulator.stable()["access_token"], simulator.classic()["access_token"]
    simulator.stable(force_refresh=True)
    simulator.classic()
    assert errcode(simulator, classic) == 0
    simulator.advance(301)
    assert errcode(simulator, simulator.stable()["access_token"]) == 0
    assert errcode(simulator, stable) == 40001


def test_a_forced_refresh_ends_the_old_token_at_once(simulator: Simulator) -> None:
    old = simulator.stable()["access_token"]
    new = simulator.stable(force_refresh=True)["access_token"]
    assert new != old
    assert errcode(simulator, old) == 40001


def test_forced_refreshes_within_thirty_seconds_do_not_refresh(simulator: Simulator) -> None:
    first = simulator.stable(force_refresh=True)["access_token"]
    simulator.advance(29)
    assert simulator.stable(force_refresh=True)["access_token"] == first
    simulator.advance(1)
    assert simulator.stable(force_refresh=True)["access_token"] != first


def test_the_twenty_first_forced_refresh_of_a_day_does_not_refresh(simulator: Simulator) -> None:
    tokens = []
    for _ in range(21):
        tokens.append(simulator.stable(force_refresh=True)["access_token"])
        simulator.advance(30)
    assert len(set(tokens)) == 20
    assert tokens[19] == tokens[20]
    simulator.advance(24 * 3600)
    assert simulator.stable(force_refresh=True)["access_token"] not in tokens


def test_killed_tokens_are_refused_and_replaced_by_the_next_normal_call(
    simulator: Simulator,
) -> None:
    token = simulator.stable()["access_token"]
    assert simulator.control("POST", "/tokens/kill") == {"killed": 1}
    assert errcode(simulator, token) == 40001
    assert errcode(simulator, simulator.stable()["access_token"]) == 0


def test_a_killed_token_that_stays_current_needs_a_forced_refresh(simulator: Simulator) -> None:
    token = simulator.stable()["access_token"]
    simulator.control("POST", "/tokens/kill", {"keep_current": True})
    assert simulator.stable()["access_token"] == token
    assert errcode(simulator, token) == 40001
    assert errcode(simulator, simulator.stable(force_refresh=True)["access_token"]) == 0


def test_life_and_length_of_a_token_can_be_set(simulator: Simulator) -> None:
    simulator.configure(token_life_seconds=600, token_characters=512)
    answer = simulator.stable()
    assert answer["expires_in"] == 600
    assert len(answer["access_token"]) == 512


@pytest.mark.parametrize(
    ("token", "expected"),
    [("", 41001), ("nonsense", 40014), ("60_" + "x" * 133, 40001)],
    ids=["missing", "malformed", "unknown"],
)
def test_a_token_that_was_never_issued_is_refused(
    simulator: Simulator, token: str, expected: int
) -> None:
    assert errcode(simulator, token) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"grant_type": "password"}, 40002),
        ({"appid": ""}, 41002),
        ({"appid": "WX0123456789ABCDEF"}, 40013),
        ({"secret": ""}, 41004),
        ({"secret": "wrong"}, 40125),
    ],
)
def test_both_token_endpoints_check_their_fields(
    simulator: Simulator, changes: dict[str, str], expected: int
) -> None:
    assert simulator.stable(**changes)["errcode"] == expected
    assert simulator.classic(**changes)["errcode"] == expected


def test_the_whitelist_guards_only_what_takes_the_secret(simulator: Simulator) -> None:
    token = simulator.stable()["access_token"]
    simulator.configure(ip_whitelist=["203.0.113.7"])
    reset = {"appid": "wx0123456789abcdef", "appsecret": SECRET}
    refused: list[dict[str, Any]] = [
        simulator.stable(),
        simulator.classic(),
        simulator.raw("POST", "/cgi-bin/clear_quota/v2", data=as_json(reset)).json(),
    ]
    assert [answer["errcode"] for answer in refused] == [40164] * 3
    assert all("127.0.0.1" in answer["errmsg"] for answer in refused)
    assert errcode(simulator, token) == 0
    simulator.configure(ip_whitelist=["127.0.0.1"])
    assert simulator.stable()["access_token"] == token


def test_token_answers_are_plain_text_by_their_content_type(simulator: Simulator) -> None:
    answer = simulator.raw("POST", "/cgi-bin/stable_token", data=b"{}")
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.json()["errcode"] == 40002
