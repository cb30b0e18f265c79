"""The search behind `tests/e2e/test_no_secrets_in_logs.py`: it can find, and it can fail."""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse
from collections.abc import Callable

import pytest

from tests.log_search import LogSearch

SECRET = "退货 /+= token-Aa1%"


@pytest.mark.parametrize("secret", [SECRET, "0123456789abcdef", "请问几天发货呢谢谢"])
@pytest.mark.parametrize(
    "written",
    [
        lambda secret: f'{{"message": "sent {secret}"}}',
        lambda secret: json.dumps({"message": secret}),
        lambda secret: json.dumps({"outer": json.dumps({"message": secret})}),
        lambda secret: f"ValueError: {secret!r}",
        lambda secret: f"ValueError: {secret.encode()!r}",
        lambda secret: f"GET /push?{urllib.parse.urlencode({'signature': secret})}",
        lambda secret: f"GET /push?s={urllib.parse.quote(secret, safe='')}&n=1",
        lambda secret: base64.b64encode(f"{secret}&more".encode()).decode(),
        lambda secret: base64.b64encode(f"a{secret}".encode()).decode(),
        lambda secret: base64.b64encode(f"ab{secret}&more".encode()).decode(),
    ],
)
def test_a_secret_is_found_however_it_was_written(
    secret: str, written: Callable[[str], str]
) -> None:
    (where,) = {
        finding.where
        for finding in LogSearch({"token": secret}).findings(
            [("clean", "nothing here"), ("dirty", f"before\n{written(secret)}\nbehind")]
        )
    }
    assert where == "dirty"


def test_a_finding_names_the_secret_and_does_not_show_it() -> None:
    findings = LogSearch({"token": SECRET, "key": "k" * 43}).findings([("push", f"x {SECRET} x")])
    assert {finding.secret for finding in findings} == {"token"}
    assert SECRET not in repr(findings)


def test_what_only_resembles_a_secret_is_not_found() -> None:
    search = LogSearch({"token": SECRET})
    for text in ("", SECRET[:-1], SECRET[1:], SECRET.upper(), "Basic QUJDREVGRw=="):
        assert search.findings([("log", text)]) == []


def test_a_traceback_that_holds_a_secret_is_found(caplog: pytest.LogCaptureFixture) -> None:
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("any").exception("failed")
    assert LogSearch({"text": SECRET}).findings([("log", caplog.text)])


@pytest.mark.parametrize("secrets", [{}, {"token": ""}, {"token": "short"}])
def test_a_search_that_could_find_nothing_is_refused(secrets: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be searched for"):
        LogSearch(secrets)
