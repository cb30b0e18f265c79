"""Programs of others against the simulator: what they take of it is as WeChat sends it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from wechatpy import WeChatClient, parse_message
from wechatpy.crypto import WeChatCrypto

from tests.contracts.simulator_process import APP_ID, APP_SECRET, running_simulator
from wechat_kf_cli.stack.clients import SimulatorClient
from wechat_kf_cli.stack.state import ROOT
from wechat_kf_local.png import plain_png

NPM = ROOT / "tests" / "npm"
TOKEN, AES_KEY = "pushtoken123", "a" * 42 + "A"
BUYER = "oPeerPeerPeerPeerPeerPeer000"
TEXT = "“您好” <b>&amp; ]] 🧥"

NODE = pytest.mark.skipif(
    not (NPM / "node_modules").exists(), reason="npm install in tests/npm first"
)


@contextmanager
def receiver(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """npm's `wechat` as a server: its address, and its process, which prints what it reads."""
    command = ["node", "receive.mjs", APP_ID, TOKEN, *arguments]
    with subprocess.Popen(command, cwd=NPM, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/push", process
        finally:
            process.kill()


def pushing(url: str, mode: str) -> list[str]:
    options = ["--push-url", url, "--mode", mode, "--push-token", TOKEN]
    return [*options, "--encoding-aes-key", AES_KEY]


@NODE
@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
def test_npm_wechat_reads_pushes(mode: str) -> None:
    key = [] if mode == "plain" else [AES_KEY]
    with receiver(*key) as (url, process), running_simulator(*pushing(url, mode)) as simulator:
        buyer = SimulatorClient(simulator)
        assert buyer.verify_url()
        buyer.say(BUYER, "0", TEXT)
        buyer.enter(BUYER, "0")
        assert process.stdout
        text, entered = (json.loads(process.stdout.readline()) for _ in range(2))
    assert (text["FromUserName"], text["MsgType"], text["Content"]) == (BUYER, "text", TEXT)
    assert (entered["MsgType"], entered["Event"]) == ("event", "user_enter_tempsession")


@NODE
def test_npm_co_wechat_api_sends(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(plain_png())
    with running_simulator() as simulator:
        phone = SimulatorClient(simulator)
        phone.call("POST", f"/_sim/buyers/{BUYER}/text", {"business_id": "0", "content": TEXT})
        done = subprocess.run(
            ["node", "call.mjs", simulator, APP_ID, APP_SECRET, BUYER, str(picture)],
            cwd=NPM,
            capture_output=True,
            text=True,
            check=True,
        )
        seen = [message["msgtype"] for message in phone.messages(BUYER)]
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["token"]
    assert said["type"] == "image"
    assert (said["text"]["errcode"], said["image"]["errcode"]) == (0, 0)
    assert seen == ["text", "text", "image"]


def test_wechatpy_sends_and_uploads() -> None:
    with running_simulator() as simulator:
        phone = SimulatorClient(simulator)
        phone.call("POST", f"/_sim/buyers/{BUYER}/text", {"business_id": "0", "content": TEXT})
        # Its own call for a token goes to WeChat's host, whatever it is told.
        account = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
        token = requests.get(f"{simulator}/cgi-bin/token", account, timeout=10).json()
        client = WeChatClient(APP_ID, APP_SECRET, access_token=token["access_token"])
        client.API_BASE_URL = f"{simulator}/cgi-bin/"
        client.message.send_text(BUYER, TEXT)
        uploaded = client.media.upload("image", ("picture.png", plain_png(), "image/png"))
        client.message.send_image(BUYER, uploaded["media_id"])
        shown = phone.messages(BUYER)
        fetched = client.media.download(uploaded["media_id"])
    assert [message.get("text") for message in shown] == [TEXT, TEXT, None]
    assert fetched.content == plain_png()


@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
def test_wechatpy_reads_pushes(mode: str) -> None:
    with running_simulator(*pushing("http://127.0.0.1:9/", mode)) as simulator:
        order: dict[str, Any] = {"business_id": "0", "content": TEXT, "wait": False}
        requests.post(f"{simulator}/_sim/buyers/{BUYER}/text", json=order, timeout=10)
        requests.post(f"{simulator}/_sim/idle", timeout=60)
        [push] = requests.get(f"{simulator}/_sim/pushes", timeout=10).json()["items"]
    request = push["request"]
    body, query = base64.b64decode(request["body_base64"]), request["query"]
    if mode == "secure":
        crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
        names = ("msg_signature", "timestamp", "nonce")
        body = crypto.decrypt_message(body, *(query[name] for name in names))
    message = parse_message(body)
    assert (message.type, message.source, message.content) == ("text", BUYER, TEXT)
