"""What all calls have in common: docs/wechat-api.md, sections 2, 11 and 12."""

import re

import pytest

from tests.unit.simulator.simulator_loopback import SECRET, Simulator, as_json

RID = re.compile(r"rid: ([0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8})$")
LIST = "/cgi-bin/business/list"
PAGE = {"offset": 0, "count": 10}


def test_a_wrong_path_is_a_bare_404(simulator: Simulator) -> None:
    for path in ("/cgi-bin/business/registers", "/cgi\u2010bin/business/register", "/"):
        answer = simulator.raw("POST", path, data=b"{}")
        assert (answer.status_code, answer.content) == (404, b"")


def test_a_get_on_a_post_api_is_refused(simulator: Simulator) -> None:
    assert simulator.raw("GET", "/cgi-bin/stable_token").json()["errcode"] == 43002
    assert simulator.api(LIST)["errcode"] == 43002


def test_refusals_are_http_200_with_a_rid(simulator: Simulator) -> None:
    answer = simulator.call("/cgi-bin/business/get", {"business_id": 99})
    assert answer.status_code == 200
    assert answer.json()["errcode"] == 45071
    assert RID.search(answer.json()["errmsg"])


def test_json_comes_with_the_content_type_weixin_made_up(simulator: Simulator) -> None:
    answer = simulator.call(LIST, PAGE)
    assert answer.headers["Content-Type"] == "application/json; encoding=utf-8"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", 44002),
        (b"{", 47001),
        (b"[]", 47001),
        ('{"business_id":"\xff"}'.encode("latin-1"), 47001),
        (b'{"account_name":"\\u82f9\\u679c"}', 40033),
        (b'{"account_name":"\\\\u82f9"}', 45071),
    ],
    ids=["empty", "broken", "no object", "no UTF-8", "escaped", "only looks escaped"],
)
def test_bodies_must_be_raw_utf8_json(simulator: Simulator, body: bytes, expected: int) -> None:
    query = {"access_token": simulator.stable()["access_token"]}
    answer = simulator.raw("POST", "/cgi-bin/business/get", params=query, data=body)
    assert answer.json()["errcode"] == expected


def test_the_refusal_of_escapes_can_be_switched_off(simulator: Simulator) -> None:
    simulator.configure(reject_unicode_escapes=False)
    query = {"access_token": simulator.stable()["access_token"]}
    body = b'{"account_name":"\\u82f9\\u679c"}'
    answer = simulator.raw("POST", "/cgi-bin/business/get", params=query, data=body)
    assert answer.json()["errcode"] == 45071


@pytest.mark.parametrize(
    ("setting", "paths"),
    [
        ("sub_merchants_allowed", [LIST]),
        (
            "customer_service_allowed",
            ["/cgi-bin/message/custom/send", "/cgi-bin/message/custom/business/typing"],
        ),
    ],
)
def test_a_capability_that_is_off_is_48001(
    simulator: Simulator, setting: str, paths: list[str]
) -> None:
    simulator.configure(**{setting: False})
    assert {simulator.api(path, PAGE)["errcode"] for path in paths} == {48001}


def test_the_minute_quota_comes_back_with_the_next_minute(simulator: Simulator) -> None:
    simulator.configure(minute_limits={LIST: 2})
    assert [simulator.api(LIST, PAGE).get("errcode") for _ in range(3)] == [None, None, 45011]
    assert "errcode" not in simulator.api("/cgi-bin/getcallbackip")
    simulator.advance(60)
    assert "errcode" not in simulator.api(LIST, PAGE)


def test_the_daily_quota_comes_back_with_the_next_day(simulator: Simulator) -> None:
    simulator.configure(daily_limits={LIST: 1})
    assert "errcode" not in simulator.api(LIST, PAGE)
    assert simulator.api(LIST, PAGE)["errcode"] == 45009
    simulator.advance(24 * 3600)
    simulator.token = ""
    assert "errcode" not in simulator.api(LIST, PAGE)


def test_quota_get_tells_what_is_used(simulator: Simulator) -> None:
    simulator.configure(daily_limits={LIST: 5}, minute_limits={LIST: 3})
    simulator.api(LIST, PAGE)
    answer = simulator.api("/cgi-bin/openapi/quota/get", {"cgi_path": LIST})
    assert answer["quota"] == {"daily_limit": 5, "used": 1, "remain": 4}
    assert answer["rate_limit"] == {"call_count": 3, "refresh_second": 60}


@pytest.mark.parametrize(
    ("path", "expected"), [("/cgi-bin/nothing", 76021), ("api.weixin.qq.com/cgi-bin/token", 76003)]
)
def test_quota_get_needs_a_known_path(simulator: Simulator, path: str, expected: int) -> None:
    answer = simulator.api("/cgi-bin/openapi/quota/get", {"cgi_path": path})
    assert answer["errcode"] == expected


def test_clear_quota_gives_the_day_back_ten_times_a_month(simulator: Simulator) -> None:
    simulator.configure(daily_limits={LIST: 1})
    reset = {"appid": "wx0123456789abcdef"}
    by_secret = as_json(reset | {"appsecret": SECRET})
    for _ in range(5):
        assert "errcode" not in simulator.api(LIST, PAGE)
        assert simulator.api(LIST, PAGE)["errcode"] == 45009
        assert simulator.api("/cgi-bin/clear_quota", reset)["errcode"] == 0
        assert simulator.raw("POST", "/cgi-bin/clear_quota/v2", data=by_secret).json() == {
            "errcode": 0,
            "errmsg": "ok",
        }
    assert simulator.api("/cgi-bin/clear_quota", reset)["errcode"] == 48006


def test_clear_quota_needs_the_own_app(simulator: Simulator) -> None:
    assert simulator.api("/cgi-bin/clear_quota", {"appid": "wx1"})["errcode"] == 40013
    for document, expected in (
        ({"appid": "wx1", "appsecret": SECRET}, 40013),
        ({"appsecret": SECRET}, 41002),
        ({"appid": "wx0123456789abcdef"}, 41004),
    ):
        answer = simulator.raw("POST", "/cgi-bin/clear_quota/v2", data=as_json(document))
        assert answer.json()["errcode"] == expected


def test_a_rid_can_be_looked_up_for_seven_days(simulator: Simulator) -> None:
    refused = simulator.api("/cgi-bin/business/get", {"business_id": 99})
    found = RID.search(refused["errmsg"])
    assert found is not None
    document = {"rid": found[1]}
    request = simulator.api("/cgi-bin/openapi/rid/get", document)["request"]
    assert request["request_body"] == '{"business_id": 99}'
    assert "/cgi-bin/business/get?access_token=" in request["request_url"]
    assert found[1] in request["response_body"]
    assert (request["invoke_time"], request["client_ip"]) == (1_800_000_000, "127.0.0.1")
    simulator.advance(7 * 24 * 3600 + 1)
    simulator.token = ""
    assert simulator.api("/cgi-bin/openapi/rid/get", document)["errcode"] == 76004


@pytest.mark.parametrize(
    ("rid", "expected"), [("00000000-00000000-00000000", 76001), ("nonsense", 76002)]
)
def test_a_rid_must_exist(simulator: Simulator, rid: str, expected: int) -> None:
    assert simulator.api("/cgi-bin/openapi/rid/get", {"rid": rid})["errcode"] == expected


def test_address_lists_may_hold_ranges(simulator: Simulator) -> None:
    addresses = simulator.api("/cgi-bin/getcallbackip")["ip_list"]
    assert any("/" in address for address in addresses)
    assert simulator.api("/cgi-bin/get_api_domain_ip")["ip_list"]


def test_the_callback_check_answers_what_is_asked(simulator: Simulator) -> None:
    path = "/cgi-bin/callback/check"
    both = simulator.api(path, {"action": "all", "check_operator": "DEFAULT"})
    assert both["dns"][0]["ip"] == both["ping"][0]["ip"]
    assert "ping" not in simulator.api(path, {"action": "dns", "check_operator": "CAP"})
    wrong_action = {"action": "trace", "check_operator": "CAP"}
    wrong_operator = {"action": "all", "check_operator": "MINE"}
    assert simulator.api(path, wrong_action)["errcode"] == 40202
    assert simulator.api(path, wrong_operator)["errcode"] == 40203
    simulator.configure(push_url="")
    assert simulator.api(path, wrong_operator)["errcode"] == 40201
