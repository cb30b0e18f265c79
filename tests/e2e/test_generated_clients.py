"""Typed clients that public generators make of docs/openapi.yaml, on the deployed stack, signed."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import TEST_DIRECTORY
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.state import ROOT, StackInfo
from wechat_kf_local.walk import ICON

OPENAPI = ROOT / "docs" / "openapi.yaml"
NPM = ROOT / "tests" / "npm"
KEPT = ("content-type", "idempotency-key")
EXPECTED = {
    "status": 201,
    "names": ["类型旗舰店"],
    "field": "message.text",
    "stranger": "no_conversation",
    "missing": 404,
}

pytestmark = pytest.mark.usefixtures("patient_wechat")


class Signing(httpx.Auth):
    """SigV4, as a user of the client would add it."""

    requires_request_body = True

    def __init__(self, api: ApiClient) -> None:
        self._api = api

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        path = str(request.url).removeprefix(self._api.url)
        kept = {name: request.headers[name] for name in KEPT if name in request.headers}
        signed = self._api.sign(request.method, path, body=request.content or None, headers=kept)
        request.headers.update({name: str(value) for name, value in signed.headers.items()})
        yield request


@pytest.fixture
def python_client(tmp_path: Path, api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`call(operation, …)` of the client that openapi-python-client makes."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(OPENAPI), "--output-path", str(tmp_path / "wechat_kf_client")]
    subprocess.run(command, check=True, capture_output=True)
    monkeypatch.syspath_prepend(tmp_path)
    package = importlib.import_module("wechat_kf_client")
    client = package.Client(base_url=api.url, httpx_args={"auth": Signing(api)})

    def call(operation: str, *path: str, **arguments: Any) -> Any:
        module = importlib.import_module(f"wechat_kf_client.api.{operation}")
        return module.sync_detailed(*path, client=client, **arguments)

    yield call
    for name in [name for name in sys.modules if name.startswith("wechat_kf_client")]:
        del sys.modules[name]


def test_python(python_client: Any) -> None:
    models = importlib.import_module("wechat_kf_client.models")
    wanted = models.RegisterMerchantRequest(nickname="类型旗舰店", external_id="py-1", icon=ICON)
    registered = python_client("merchants.register_merchant", body=wanted)
    business_id = registered.parsed.business_id
    page = python_client("merchants.list_merchants", external_id="py-1").parsed

    def send(openid: str, text: str, **more: str) -> Any:
        content = models.TextContent(type_="text", text=text)
        body = models.SendMessageRequest(openid=openid, message=content)
        return python_client("messages.send_message", business_id, body=body, **more).parsed

    missing = "1795712430874s368467044ce5b0x"
    assert {
        "status": registered.status_code,
        "names": [item.nickname for item in page.items],
        "field": send("o", "").field,
        "stranger": send("oNobodyWroteYet00000000000000", "您好", idempotency_key="1").code,
        "missing": python_client("messages.read_message", business_id, missing).parsed.status,
    } == EXPECTED


@pytest.mark.skipif(not (NPM / "node_modules").exists(), reason="npm install in tests/npm first")
def test_typescript(tmp_path: Path, stack: StackInfo) -> None:
    (tmp_path / "node_modules").symlink_to(NPM / "node_modules")
    (tmp_path / "walk.ts").write_bytes((NPM / "walk.ts").read_bytes())
    tools = "node_modules/.bin"

    def runs(*command: str, **environment: str) -> str:
        done = subprocess.run(
            ["node", *command],
            check=False,
            cwd=tmp_path,
            env={**os.environ, "LOCAL_DIR": TEST_DIRECTORY, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    runs(f"{tools}/openapi-ts", "-i", str(OPENAPI), "-o", "client")
    options = "--strict --target es2022 --module commonjs --moduleResolution node10 --types node"
    runs(f"{tools}/tsc", *options.split(), "--skipLibCheck", "walk.ts")
    shown = runs(
        "walk.js",
        WECHAT_KF_API_URL=stack.api_url,
        AWS_REGION=stack.region,
        AWS_ACCESS_KEY_ID=stack.access_key_id,
        AWS_SECRET_ACCESS_KEY=stack.secret_access_key,
        ICON=ICON,
    )
    assert json.loads(shown) == EXPECTED
