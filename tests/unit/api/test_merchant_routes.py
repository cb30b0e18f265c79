"""The merchants routes, from event to answer, on the fakes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.merchants_app import MerchantsApp
from tests.unit.api.http_events import document_of
from wechat_kf.domain.merchants.merchant import Merchant
from wechat_kf.wechat import operations
from wechat_kf.wechat.errors import TransportError, api_error
from wechat_kf.wechat.naming import derive_account_name

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
ICON = base64.b64encode(PNG).decode()
RID = "6114dedc-7e90330d-3fb31e22"


class House(MerchantsApp):
    def register(self, **changes: Any) -> dict[str, Any]:
        """`...` leaves a field out."""
        body = {"account_name": "shop_0042", "nickname": "苹果旗舰店", "icon": ICON, **changes}
        return self.call("POST", "/merchants", {k: v for k, v in body.items() if v is not ...})


@pytest.fixture
def house() -> House:
    return House()


def header(answer: dict[str, Any], name: str) -> str:
    found = {**answer.get("headers", {}), **answer.get("multiValueHeaders", {})}
    value = found[name]
    return str(value[0] if isinstance(value, list) else value)


def problem_of(answer: dict[str, Any], status: int) -> dict[str, Any]:
    assert answer["statusCode"] == status, answer["body"]
    assert header(answer, "Content-Type") == "application/problem+json"
    document: dict[str, Any] = document_of(answer)
    assert document["status"] == status
    return document


def test_register_answers_201_with_the_merchant_and_where_it_is(house: House) -> None:
    answer = house.register(external_id="m-1001")
    assert answer["statusCode"] == 201
    assert header(answer, "Location") == "/merchants/1"
    assert document_of(answer) == {
        "business_id": "1",
        "account_name": "shop_0042",
        "nickname": "苹果旗舰店",
        "icon_url": "https://icons.test/media-1",
        "external_id": "m-1001",
        "status": "active",
        "welcome_message": None,
        "created_at": "2026-01-01T00:00:00.000Z",
        "updated_at": "2026-01-01T00:00:00.000Z",
    }


def test_register_again_answers_200_with_the_same(house: House) -> None:
    first, again = house.register(), house.register()
    assert again["statusCode"] == 200
    assert document_of(again) == document_of(first)


def test_without_an_account_name_it_is_derived_from_the_external_id(house: House) -> None:
    answer = house.register(account_name=..., external_id="m-1001")
    assert answer["statusCode"] == 201
    assert document_of(answer)["account_name"] == derive_account_name("m-1001")
    assert house.register(account_name=..., external_id="m-1001")["statusCode"] == 200


def test_a_taken_name_names_the_merchant_that_has_it(house: House) -> None:
    house.register(external_id="m-1")
    problem = problem_of(house.register(external_id="m-2"), 409)
    assert problem["business_id"] == "1"
    assert problem["field"] == "account_name"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account_name": "apple"}, "account_name"),
        ({"account_name": "苹果旗舰店铺"}, "account_name"),
        ({"nickname": "店"}, "nickname"),
        ({"nickname": "emoji 🍎"}, "nickname"),
        ({"nickname": ...}, "nickname"),
        ({"external_id": "with blank"}, "external_id"),
        ({"external_id": ""}, "external_id"),
        ({"icon": "%%%"}, "icon"),
        ({"icon": base64.b64encode(b"no image").decode()}, "icon"),
        ({"icon": ...}, "body"),
        ({"icon_media_id": "both"}, "body"),
        ({"account_name": ...}, "body"),
        ({"nick_name": "typo"}, "nick_name"),
        ({"transfer_to_commkf": "perhaps"}, "transfer_to_commkf"),
    ],
)
def test_what_breaks_a_rule_is_refused_by_name_before_wechat_is_asked(
    house: House, changes: dict[str, Any], field: str
) -> None:
    problem = problem_of(house.register(**changes), 400)
    assert problem["code"] == "invalid_request"
    assert problem["field"] == field
    assert house.directory.calls == []


@pytest.mark.parametrize("body", ["", "{", "[]", '"text"', "null", "1", "[" * 99_999, '{"a":\x00}'])
@pytest.mark.parametrize(("method", "path"), [("POST", "/merchants"), ("PATCH", "/merchants/1")])
def test_a_body_that_is_no_json_object_is_the_callers_mistake(
    house: House, body: str, method: str, path: str
) -> None:
    assert problem_of(house.call(method, path, body), 400)["field"] in ("body", "a")


@pytest.mark.parametrize(
    "kind",
    ["text/csv", "multipart/form-data", "Multipart/Form-Data", "application/x-www-form-urlencoded"],
)
def test_another_content_type_is_415(house: House, kind: str) -> None:
    answer = house.call("POST", "/merchants", "a=1", headers={"content-type": kind})
    assert problem_of(answer, 415)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("errcode", "status", "code"),
    [
        (45077, 409, "sub_merchant_limit"),
        (45078, 400, "nickname_not_valid"),
        (45079, 400, "nickname_forbidden"),
        (45091, 400, "account_name_not_valid"),
        (40007, 400, "media_id_not_valid"),
        (40004, 400, "wrong_media_type"),
        (48001, 403, "capability_not_enabled"),
        (45009, 429, "daily_quota_used_up"),
        (-1, 503, "system_busy"),
    ],
)
def test_wechats_refusals_are_told_with_code_errcode_rid_and_advice(
    house: House, errcode: int, status: int, code: str
) -> None:
    refusal = api_error(errcode, f"some words rid: {RID}", operations.REGISTER)
    house.directory.before["register"] = refusal
    problem = problem_of(house.register(), status)
    assert (problem["code"], problem["errcode"], problem["rid"]) == (code, errcode, RID)
    assert len(problem["advice"]) > 10
    assert "some words" not in str(problem)


def test_a_silent_wechat_is_a_gateway_timeout(house: House) -> None:
    house.directory.before["find"] = TransportError(
        operations.GET, sent="perhaps", reason="read timeout"
    )
    assert problem_of(house.register(), 504)["code"] == "wechat_did_not_answer"


def test_a_name_burnt_by_others_is_told_with_wechats_evidence(house: House) -> None:
    house.directory.burnt.add("shop_0042")
    problem = problem_of(house.register(), 409)
    assert (problem["code"], problem["errcode"], problem["rid"]) == (
        "account_name_taken",
        45070,
        RID,
    )
    assert "business_id" not in problem


def test_read_answers_the_merchant(house: House) -> None:
    registered = document_of(house.register())
    assert document_of(house.call("GET", "/merchants/1")) == registered


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_unknown_merchant_is_404(house: House, method: str) -> None:
    body = {"nickname": "新名字"} if method == "PATCH" else None
    assert problem_of(house.call(method, "/merchants/9", body), 404)["code"] == "not_found"


@pytest.mark.parametrize("business_id", ["abc", "-1", "1" * 21])
def test_a_business_id_that_is_none_is_the_callers_mistake(house: House, business_id: str) -> None:
    assert problem_of(house.call("GET", f"/merchants/{business_id}"), 400)["field"] == "business_id"


def test_the_list_pages_to_its_end(house: House) -> None:
    for number in range(5):
        house.store.add(Merchant(str(number + 1), f"shop_{number:04}", "商店"))
    seen, query = [], "limit=2"
    while True:
        page = document_of(house.call("GET", "/merchants", query=query))
        seen += [item["business_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        query = f"limit=2&cursor={page['next_cursor']}"
    assert seen == ["1", "2", "3", "4", "5"]


def test_the_filters_find_one(house: House) -> None:
    house.register(external_id="m-1001")
    by_name = document_of(house.call("GET", "/merchants", query="account_name=shop_0042"))
    by_id = document_of(house.call("GET", "/merchants", query="external_id=m-1001"))
    nobody = document_of(house.call("GET", "/merchants", query="external_id=m-2"))
    assert by_name == by_id
    assert [item["external_id"] for item in by_id["items"]] == ["m-1001"]
    assert nobody == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "external_id="])
def test_a_query_that_breaks_a_rule_is_400(house: House, query: str) -> None:
    field = query.partition("=")[0]
    assert problem_of(house.call("GET", "/merchants", query=query), 400)["field"] == field


def test_patch_changes_what_is_given(house: House) -> None:
    house.register(external_id="m-1001")
    answer = house.call("PATCH", "/merchants/1", {"nickname": "新名字"})
    changed = document_of(answer)
    assert (answer["statusCode"], changed["nickname"], changed["external_id"]) == (
        200,
        "新名字",
        "m-1001",
    )


@pytest.mark.parametrize("empty", ["", None, ...])
def test_patch_with_empty_fields_changes_nothing(house: House, empty: Any) -> None:
    registered = document_of(house.register(external_id="m-1001"))
    fields = ("nickname", "icon", "icon_media_id", "external_id", "status")
    body = {} if empty is ... else dict.fromkeys(fields, empty)
    house.directory.calls.clear()
    assert document_of(house.call("PATCH", "/merchants/1", body)) == registered
    assert house.directory.calls == []


@pytest.mark.parametrize(
    "body",
    [
        {"nickname": "店"},
        {"status": "deleted"},
        {"account_name": "shop_0043"},
        {"icon": ICON, "icon_media_id": "both"},
        {"icon": "%%%"},
    ],
)
def test_patch_refuses_what_breaks_a_rule(house: House, body: dict[str, Any]) -> None:
    house.register()
    problem_of(house.call("PATCH", "/merchants/1", body), 400)


def test_delete_deactivates_and_patch_takes_back(house: House) -> None:
    house.register()
    for _ in range(2):  # again changes nothing
        answer = house.call("DELETE", "/merchants/1")
        assert (answer["statusCode"], document_of(answer)["status"]) == (200, "inactive")
    assert problem_of(house.call("GET", "/merchants/1/contact-button"), 409)["code"] == (
        "merchant_inactive"
    )
    back = house.call("PATCH", "/merchants/1", {"status": "active"})
    assert document_of(back)["status"] == "active"


def test_a_welcome_message_comes_stays_and_goes(house: House) -> None:
    body = {"account_name": "shop_0042", "nickname": "苹果旗舰店", "icon_media_id": "m"}
    first = house.call("POST", "/merchants", {**body, "welcome_message": "您好！"})
    assert document_of(first)["welcome_message"] == "您好！"

    def patched(change: dict[str, Any]) -> Any:
        return document_of(house.call("PATCH", "/merchants/1", change))["welcome_message"]

    assert patched({"welcome_message": "欢迎光临"}) == "欢迎光临"
    assert patched({"external_id": "m-7"}) == "欢迎光临"
    assert patched({"welcome_message": None}) == "欢迎光临"
    assert patched({"welcome_message": ""}) is None
    problem = problem_of(house.call("PATCH", "/merchants/1", {"welcome_message": "长" * 683}), 400)
    assert problem["field"] == "welcome_message"


def test_sync_reports_what_it_did(house: House) -> None:
    house.directory.add("elsewhere", "别处商店")
    answer = house.call("POST", "/merchants/sync")
    assert answer["statusCode"] == 200
    assert document_of(answer) == {
        "listed": 1,
        "added": ["1"],
        "changed": [],
        "missing": [],
        "conflicting": [],
        "unreadable": [],
        "complete": True,
    }


def test_the_contact_button_has_attributes_and_wxml(house: House) -> None:
    house.register()
    document = document_of(house.call("GET", "/merchants/1/contact-button"))
    assert document["business_id"] == "1"
    assert document["attributes"]["business-id"] == "1"
    assert document["wxml"].startswith("<button ")
