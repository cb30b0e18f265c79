"""Every problem that any test of this folder meets must be one that its route declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from generators import openapi
from generators.errors_page import operations
from wechat_kf.api.app import JsonResolver
from wechat_kf.api.error_codes import wechat_codes
from wechat_kf.api.problems import ON_ANY_ROUTE
from wechat_kf.api.responses import ERROR_CODES, FROM_WECHAT

ROUTES = [
    (method, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))), operation["responses"])
    for path, method, operation in operations(openapi.document())
]
ANYWHERE = {error.code for error in ON_ANY_ROUTE}
WECHATS = {(entry.code, entry.status) for entry in wechat_codes()}


def is_declared(method: str, path: str, code: str, status: int) -> bool:
    """Whether the route that takes this request says that it may answer so."""
    found = (said for verb, taken, said in ROUTES if verb == method and taken.fullmatch(path))
    responses: dict[str, Any] = next(found, {})
    response = responses.get(str(status), {})
    from_wechat = response.get(FROM_WECHAT, False) and (code, status) in WECHATS
    return from_wechat or code in ANYWHERE or code in response.get(ERROR_CODES, [])


@pytest.fixture(autouse=True)
def _only_declared_problems(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    resolve, undeclared = JsonResolver.resolve, set[tuple[str, str, str, int]]()

    def watched(self: JsonResolver, event: dict[str, Any], context: Any) -> dict[str, Any]:
        answer = resolve(self, event, context)
        status = int(answer["statusCode"])
        if status >= 400:
            code = json.loads(answer["body"])["code"]
            met = (event["requestContext"]["http"]["method"], event["rawPath"], code, status)
            undeclared.update([] if is_declared(*met) else [met])
        return answer

    monkeypatch.setattr(JsonResolver, "resolve", watched)
    yield
    assert not undeclared
