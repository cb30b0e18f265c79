"""Planted secrets are searched for in every log record, exception and repr."""

import http.client
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.wechat.client_loopback import (
    CUT_AFTER_READING,
    HANG,
    FixedTokens,
    LoopbackWeChat,
    Reply,
    closed_port,
    error_reply,
)
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import WeChatError
from wechat_kf.wechat.messages import Link, Text
from wechat_kf.wechat.tokens import (
    IssuedToken,
    stable_token,
)
from wechat_kf.wechat.transport import Call, HttpReply, Timeouts, Transport, Upload

TOKEN, SECRET, WORDS = "PLANTED-TOKEN", "PLANTED-SECRET", "PLANTED-WORDS"

BEHAVIOURS = {
    "success": None,
    "refusal": error_reply(45015),
    "refused token": error_reply(40001, f"invalid credential {TOKEN}"),
    "cut": CUT_AFTER_READING,
    "hang": HANG,
    "html": Reply(b"<html>" + TOKEN.encode()),
    "status": Reply(status=500),
    "redirect": Reply(status=302, headers={"Location": f"/x?access_token={TOKEN}"}),
    "truncated": Reply(b'{"errcode":0}', ending="truncated"),
    "unreachable": None,
}

Deed = Callable[[Transport], object]


def _client(transport: Transport) -> WeChatClient:
    return WeChatClient(transport, tokens=FixedTokens(TOKEN, f"{TOKEN}-2"), app_id="wx1")


DEEDS: dict[str, tuple[str, Deed]] = {
    "send": (operations.SEND.path, lambda t: _client(t).send("oOPENID", Text(WORDS))),
    "upload": (
        operations.UPLOAD.path,
        lambda t: _client(t).upload_image(b"\x89PNG\r\n\x1a\n" + WORDS.encode()),
    ),
    "download": (operations.DOWNLOAD.path, lambda t: _client(t).download("M1")),
    "stable_token": (
        operations.STABLE_TOKEN.path,
        lambda t: stable_token(t, app_id="wx1", app_secret=SECRET),
    ),
}


@pytest.fixture
def written(
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], str]:
    """Switch on every log and debug print there is; the result tells all that was written."""
    for name in ("", "urllib3", "urllib3.connectionpool", "urllib3.util.retry", "wechat_kf"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    return lambda: "\n".join((caplog.text, *capfd.readouterr()))


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
@pytest.mark.parametrize("deed", DEEDS)
def test_no_log_and_no_exception_holds_a_secret(
    wechat: LoopbackWeChat, written: Callable[[], str], deed: str, behaviour: str
) -> None:
    path, act = DEEDS[deed]
    reply = BEHAVIOURS[behaviour]
    if reply is not None:
        wechat.answer(path, *[reply] * 2)
    port = closed_port() if behaviour == "unreachable" else wechat.port
    limits = Timeouts(read=0.2) if reply is HANG else None
    caught: WeChatError | None = None

    try:
        act(Transport([f"http://127.0.0.1:{port}"], limits))
    except WeChatError as error:
        logging.getLogger("application").exception("call failed")
        caught = error

    assert "PLANTED" not in written()
    if caught is not None:
        told = "".join(traceback.format_exception(caught)) + repr(caught) + repr(vars(caught))
        assert "PLANTED" not in told
        assert caught.__context__ is caught.__cause__ is None


def test_the_search_above_would_find_something(
    wechat: LoopbackWeChat, written: Callable[[], str]
) -> None:
    _client(Transport([wechat.origin])).send("oOPENID", Text(WORDS))

    assert f"{operations.SEND.path}?access_token=***" in written()


@pytest.mark.parametrize(
    "thing",
    [
        IssuedToken(TOKEN, 7200),
        Call(operations.SEND, {"access_token": TOKEN}, {"text": WORDS}),
        Call(operations.SEND).with_token(TOKEN),
        Call(operations.UPLOAD, upload=Upload("media", "a.png", "image/png", WORDS.encode())),
        HttpReply(200, TOKEN.encode()),
        Text(WORDS),
        Link(WORDS, WORDS, WORDS, WORDS),
        WeChatClient(Transport(), tokens=FixedTokens(TOKEN), app_id="wx1"),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_reprs_hide_secrets(thing: object) -> None:
    assert "PLANTED" not in repr(thing)


def loaded_by(module: str) -> set[str]:
    layer = Path(__file__).parents[3] / "layers" / "shared"
    code = f"import sys; sys.path.insert(0, {str(layer)!r}); import {module}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize("module", ["wechat_kf.wechat", "wechat_kf.wechat.errors"])
def test_what_the_push_function_shares_does_not_load_the_http_client(module: str) -> None:
    loaded = loaded_by(module)

    assert module in loaded
    assert not {"requests", "urllib3"} & loaded


def test_the_package_can_be_lifted_out() -> None:
    loaded = loaded_by("wechat_kf.wechat.client")

    assert "wechat_kf.wechat.client" in loaded
    assert not {"boto3", "botocore", "aws_lambda_powertools", "pydantic"} & loaded
    ours = {name for name in loaded if name.startswith("wechat_kf.")}
    assert all(name.startswith("wechat_kf.wechat") for name in ours)
