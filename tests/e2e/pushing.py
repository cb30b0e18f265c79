"""Pushes as WeChat makes them."""

from __future__ import annotations

import requests

from tests.pushes import Request
from wechat_kf_cli.stack.state import StackInfo

TRIES = 3


def push(stack: StackInfo, request: Request) -> requests.Response:
    """Our answer, the last one: what we could not take now (5xx) WeChat pushes again, twice."""
    for _ in range(TRIES):
        answer = requests.post(stack.push_url, params=request.query, data=request.body, timeout=30)
        if answer.status_code < 500:
            break
    return answer
