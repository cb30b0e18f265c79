"""Requests that API Gateway found no route for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.http_events import http_event
from wechat_kf.api.fallback import answer_unmatched
from wechat_kf.api.route_table import ROUTES


def answer_of(method: str, path: str, route: str = "") -> dict[str, Any]:
    answer = answer_unmatched(http_event(method, path, route=route))
    assert answer
    return answer


def sample(path: str) -> str:
    """A path with its parameters filled in."""
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("path", ROUTES)
def test_no_route_is_reached_that_the_gateway_did_not_choose(path: str) -> None:
    for method in ROUTES[path]:
        assert answer_of(method, sample(path))["statusCode"] == 404


@pytest.mark.parametrize("path", ROUTES)
def test_every_other_method_is_405_and_names_what_is_allowed(path: str) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(
        ROUTES[path]
    ):
        answer = answer_of(method, sample(path))
        assert answer["statusCode"] == 405
        assert answer["headers"]["Allow"] == ", ".join(ROUTES[path])
        assert answer["headers"]["Content-Type"] == "application/problem+json"
        assert json.loads(answer["body"])["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/", "", "/merchants/", "/merchants/42/nothing", "//merchants", "/Merchants", "/wechat"],
)
def test_any_other_path_is_404(path: str) -> None:
    answer = answer_of("GET", path)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "no_such_route"


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("prefix", ["", "/kf"])
def test_what_the_gateway_chose_a_route_for_passes(path: str, prefix: str) -> None:
    for method in ROUTES[path]:
        event = http_event(method, sample(path), route=path, prefix=prefix)
        assert answer_unmatched(event) is None


@pytest.mark.parametrize("route", ["", "/merchants/{business_id}"])
def test_a_fixed_path_wins_over_a_parameter(route: str) -> None:
    answer = answer_of("GET", "/merchants/sync", route=route)
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "POST")


def test_a_path_with_a_control_character_is_404_on_any_route() -> None:
    answer = answer_of("DELETE", "/merchants/43\n", route="/merchants/{business_id}")
    assert answer["statusCode"] == 404
