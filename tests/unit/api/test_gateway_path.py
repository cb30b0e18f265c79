"""The API's own path, however API Gateway was called; and paths that lead nowhere.

The policy that confines a caller to one merchant (docs/merchants.md) rests on the second half.
"""

from __future__ import annotations

import pytest

from tests.merchants_app import MerchantsApp
from tests.messages_app import MessagesApp
from tests.unit.api.http_events import document_of, http_event
from wechat_kf.api.fallback import answer_unmatched
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStatus

MESSAGES = "/merchants/{business_id}/messages"
ONE_MERCHANT = "/merchants/{business_id}"
BODY = {"openid": "buyer", "message": {"type": "text", "text": "您好"}}

CONTROL_CHARACTERS = ["\n", "\r", "\t", "\0", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"]


@pytest.fixture
def merchants() -> MerchantsApp:
    app = MerchantsApp()
    for business_id in ("1", "42", "43"):
        app.store.add(Merchant(business_id, f"shop_{business_id:0>4}", "店铺"))
    return app


def status_of(app: MerchantsApp, business_id: str) -> MerchantStatus:
    merchant = app.store.get(business_id)
    assert merchant
    return merchant.status


# -- API mappings and stages


@pytest.mark.parametrize("prefix", ["", "/kf", "/shop/kf", "/merchants", "/merchants/1"])
def test_a_mapping_changes_nothing_but_the_location(prefix: str) -> None:
    app = MessagesApp()
    answer = app.call("POST", "/merchants/42/messages", BODY, route=MESSAGES, prefix=prefix)
    assert answer["statusCode"] == 202
    message = document_of(answer)
    assert message["business_id"] == "42"
    location = f"{prefix}/merchants/42/messages/{message['message_id']}"
    assert answer["headers"]["Location"] == location


def test_a_route_without_parameters_has_a_mapping_too(merchants: MerchantsApp) -> None:
    answer = merchants.call("GET", "/merchants", route="/merchants", prefix="/kf")
    assert len(document_of(answer)["items"]) == 3


def test_a_stage_is_part_of_the_location() -> None:
    app = MessagesApp()
    event = http_event("POST", "/prod/merchants/42/messages", BODY, route=MESSAGES)
    event["requestContext"]["stage"] = "prod"
    event["pathParameters"] = {"business_id": "42"}
    answer = app.resolve(event)
    assert answer["statusCode"] == 202
    assert answer["headers"]["Location"].startswith("/prod/merchants/42/messages/")


# -- paths that lead nowhere


@pytest.mark.parametrize("odd", CONTROL_CHARACTERS)
@pytest.mark.parametrize("route", ["", ONE_MERCHANT])
def test_a_control_character_in_a_path_is_refused(
    merchants: MerchantsApp, odd: str, route: str
) -> None:
    for path in (f"/merchants/43{odd}", f"/merchants/{odd}43", f"/merchants/4{odd}3"):
        answer = merchants.call("DELETE", path, route=route)
        assert (answer["statusCode"], document_of(answer)["code"]) == (404, "no_such_route")
    assert status_of(merchants, "43") is MerchantStatus.ACTIVE


@pytest.mark.parametrize(
    "path", ["/merchants/42/", "/merchants/42//", "//merchants/42", "/merchants//42"]
)
def test_a_slash_too_many_reaches_no_merchant(merchants: MerchantsApp, path: str) -> None:
    unmatched = answer_unmatched(http_event("DELETE", path))
    assert unmatched
    for answer in (merchants.call("DELETE", path), unmatched):
        assert answer["statusCode"] == 404
    assert status_of(merchants, "42") is MerchantStatus.ACTIVE


def test_a_slash_in_a_parameter_leads_to_no_other_merchant(merchants: MerchantsApp) -> None:
    # `DELETE /merchants/1%2Fmerchants%2F42`, as API Gateway decodes it.
    event = http_event("DELETE", "/merchants/1/merchants/42", route=ONE_MERCHANT)
    event["pathParameters"] = {"business_id": "1/merchants/42"}
    answer = merchants.resolve(event)
    assert answer["statusCode"] == 404
    assert {status_of(merchants, one) for one in ("1", "42")} == {MerchantStatus.ACTIVE}


def test_a_slash_in_a_parameter_leads_to_no_other_route(merchants: MerchantsApp) -> None:
    event = http_event("GET", "/merchants/42/contact-button", route=ONE_MERCHANT)
    event["pathParameters"] = {"business_id": "42/contact-button"}
    assert merchants.resolve(event)["statusCode"] == 404


@pytest.mark.parametrize(
    ("raw", "business_id"), [("/merchants/43%0A", "43\n"), ("/kf\n/merchants/43", "43")]
)
def test_a_control_character_is_found_decoded_or_before_the_path(
    merchants: MerchantsApp, raw: str, business_id: str
) -> None:
    event = http_event("DELETE", raw, route=ONE_MERCHANT)
    event["pathParameters"] = {"business_id": business_id}
    assert merchants.resolve(event)["statusCode"] == 404
    assert status_of(merchants, "43") is MerchantStatus.ACTIVE


def test_a_path_of_a_named_stage_is_known_without_a_route_too(merchants: MerchantsApp) -> None:
    event = http_event("GET", "/prod/merchants")
    event["requestContext"]["stage"] = "prod"
    assert merchants.resolve(event)["statusCode"] == 200


def test_a_path_that_only_ends_like_a_merchants_is_not_taken_for_it(
    merchants: MerchantsApp,
) -> None:
    # Without a route of the gateway's nothing says that `/merchants/1` is a mapping's key.
    answer = merchants.call("DELETE", "/merchants/1/merchants/42")
    assert answer["statusCode"] == 404
    assert status_of(merchants, "42") is MerchantStatus.ACTIVE
