"""Requests that API Gateway found no route for."""

from __future__ import annotations

import json

import pytest

from tests.unit.api.http_events import http_event
from wechat_kf.api.fallback import answer_unmatched
from wechat_kf.api.route_table import ROUTES


def sample(path: str) -> str:
    """A path with its parameters filled in."""
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


@pytest.mark.parametrize("path", ROUTES)
def test_no_route_is_reached_that_the_gateway_did_not_choose(path: str) -> None:
    for method in ROUTES[path]:
        assert answer_unmatched(http_event(method, sample(path)))["statusCode"] == 404


@pytest.mark.parametrize("path", ROUTES)
def test_every_other_method_is_405_and_names_what_is_allowed(path: str) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(
        ROUTES[path]
    ):
        answer = answer_unmatched(http_event(method, sample(path)))
        assert answer["statusCode"] == 405
        assert answer["headers"]["Allow"] == ", ".join(ROUTES[path])
        assert answer["headers"]["Content-Type"] == "application/problem+json"
        assert json.loads(answer["body"])["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    ["/", "", "/merchants/", "/merchants/42/nothing", "//merchants", "/Merchants", "/wechat"],
)
def test_any_other_path_is_404(path: str) -> None:
    answer = answer_unmatched(http_event("GET", path))
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "no_such_route"


def test_a_fixed_path_wins_over_a_parameter() -> None:
    answer = answer_unmatched(http_event("GET", "/merchants/sync"))
    assert answer["headers"]["Allow"] == "POST"
