"""Record the calls that a handler makes and repeat them without the handler."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import requests
from botocore import xform_name
from botocore.client import BaseClient

from wechat_kf.adapters.webhooks.http_post import HttpPoster, Request


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call to AWS, WeChat or a subscriber; `again` makes it with the bare library."""

    name: str
    again: Callable[[], object]


@contextmanager
def calls_made() -> Iterator[list[CallMade]]:
    """Record the calls made inside the context, in order."""
    found: list[CallMade] = []
    with ExitStack() as patches:
        patches.enter_context(_seeing_botocore(found))
        patches.enter_context(_seeing_requests(found))
        patches.enter_context(_seeing_webhooks(found))
        yield found


def in_words(calls: Sequence[CallMade]) -> str:
    """Summarize calls as "1 × SendMessage, 2 × UpdateItem"."""
    counted = Counter(call.name for call in calls)
    return ", ".join(f"{number} × {name}" for name, number in counted.items()) or "none"


def _seeing_botocore(found: list[CallMade]) -> Any:
    call: Any = getattr(BaseClient, "_make_api_call")  # noqa: B009 - botocore is untyped

    def seeing(self: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        method = getattr(self, xform_name(operation))
        found.append(CallMade(operation, lambda: method(**parameters)))
        return call(self, operation, parameters)

    return patch.object(BaseClient, "_make_api_call", seeing)


def _seeing_requests(found: list[CallMade]) -> Any:
    """WeChat: the bare call is one of `requests`, with a kept connection, and reads the JSON."""
    call = requests.Session.request
    bare = requests.Session()
    bare.trust_env = False

    def seeing(self: requests.Session, method: str, url: str, **given: Any) -> requests.Response:
        kept = {key: given[key] for key in ("params", "data", "headers", "timeout")}
        found.append(CallMade("WeChat", lambda: call(bare, method, url, **kept).json()))
        return call(self, method, url, **given)

    return patch.object(requests.Session, "request", seeing)


def _seeing_webhooks(found: list[CallMade]) -> Any:
    """A subscriber: the bare call is one of `http.client`, on a new connection."""
    call = HttpPoster.post

    def seeing(self: HttpPoster, request: Request) -> Any:
        def again() -> int:
            url = request.url
            connection = http.client.HTTPConnection(url.host, url.port, timeout=5)
            try:
                connection.request("POST", url.path, request.body, dict(request.headers))
                return connection.getresponse().status
            finally:
                connection.close()

        found.append(CallMade("webhook", again))
        return call(self, request)

    return patch.object(HttpPoster, "post", seeing)
