"""Typed clients that public generators make of docs/openapi.yaml, on the deployed stack, signed."""

from __future__ import annotations

import importlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.programs import needs, output
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.state import ROOT, StackInfo
from wechat_kf_local.walk import ICON

OPENAPI = ROOT / "docs" / "openapi.yaml"
NPM = ROOT / "tests" / "npm"
CLIENTS = ROOT / "tests" / "e2e" / "clients"
GO_PACKAGES = Path("/usr/share/gocode")
GO_VALIDATOR = GO_PACKAGES / "src/gopkg.in/validator.v2"
"""Where Debian and Ubuntu put the one package that the client needs."""

KEPT = ("content-type", "idempotency-key")
EXPECTED = {
    "status": 201,
    "names": ["类型旗舰店"],
    "field": "message.text",
    "stranger": "no_conversation",
    "missing": 404,
}

STRANGER = "oNobodyWroteYet00000000000000"
MISSING = "1795712430874s368467044ce5b0x"
JAVA_OPTIONS = "--additional-properties=openApiNullable=false,hideGenerationTimestamp=true"
"""Fewer dependencies: no jackson-databind-nullable, and an annotation without a date."""

pytestmark = pytest.mark.usefixtures("patient_wechat")


@pytest.fixture
def external_id() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def signed_url(api: ApiClient) -> Iterator[str]:
    """An address on this machine that signs what it is sent, and passes it on to the API."""

    class Relay(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: self.headers[name] for name in KEPT if name in self.headers}
            answer = api.request(self.command, self.path, body=body or None, headers=kept)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_GET  # noqa: N815 - as the base class calls them

        def log_message(self, *_: Any) -> None:
            """Leave the test's output alone."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def openapi_generator(language: str, folder: Path, *options: str) -> None:
    """Make a client as openapi-generator's users do."""
    jar = files("openapi_generator_cli") / "openapi-generator.jar"
    command = ["java", "-jar", str(jar), "generate", "-g", language, "-i", str(OPENAPI)]
    output(*command, "-o", str(folder), *options, folder=folder.parent)


def test_openapi_python_client(
    tmp_path: Path, signed_url: str, external_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    output(*command, "--path", OPENAPI, "--output-path", "made_client", folder=tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    models = importlib.import_module("made_client.models")
    package = importlib.import_module("made_client")
    client = package.Client(base_url=signed_url)

    def call(operation: str, *path: str, **arguments: Any) -> Any:
        module = importlib.import_module(f"made_client.api.{operation}")
        return module.sync_detailed(*path, client=client, **arguments)

    wanted = models.RegisterMerchantRequest(
        nickname="类型旗舰店", external_id=external_id, icon=ICON
    )
    registered = call("merchants.register_merchant", body=wanted)
    business_id = registered.parsed.business_id
    page = call("merchants.list_merchants", external_id=external_id).parsed

    def send(openid: str, text: str, **more: str) -> Any:
        content = models.TextContent(type_="text", text=text)
        body = models.SendMessageRequest(openid=openid, message=content)
        return call("messages.send_message", business_id, body=body, **more).parsed

    assert {
        "status": registered.status_code,
        "names": [item.nickname for item in page.items],
        "field": send("o", "").field,
        "stranger": send(STRANGER, "您好", idempotency_key="1").code,
        "missing": call("messages.read_message", business_id, MISSING).parsed.status,
    } == EXPECTED


@needs("java")
def test_openapi_generator_python(
    tmp_path: Path, signed_url: str, external_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    openapi_generator("python", tmp_path / "made", "--package-name", "generated_client")
    monkeypatch.syspath_prepend(tmp_path / "made")
    made = importlib.import_module("generated_client")
    client = made.ApiClient(made.Configuration(host=signed_url))
    merchants, messages = made.MerchantsApi(client), made.MessagesApi(client)

    wanted = made.RegisterMerchantRequest(nickname="类型旗舰店", external_id=external_id, icon=ICON)
    registered = merchants.register_merchant_with_http_info(wanted)
    business_id = registered.data.business_id

    def refusal(call: Callable[..., Any], *arguments: Any, **more: str) -> Any:
        with pytest.raises(made.ApiException) as refused:
            call(business_id, *arguments, **more)
        return refused.value.data

    def text(openid: str, text: str) -> Any:
        content = made.Message(made.TextContent(type="text", text=text))
        return made.SendMessageRequest(openid=openid, message=content)

    send = messages.send_message
    # The client itself refuses what breaks the schema; bytes are counted by the server only.
    assert {
        "status": registered.status_code,
        "names": [one.nickname for one in merchants.list_merchants(external_id=external_id).items],
        "field": refusal(send, text(STRANGER, "好" * 2000)).var_field,
        "stranger": refusal(send, text(STRANGER, "您好"), idempotency_key="1").code,
        "missing": refusal(messages.read_message, MISSING).status,
    } == EXPECTED


@needs("javac")
def test_openapi_generator_java(tmp_path: Path, signed_url: str, external_id: str) -> None:
    openapi_generator("java", tmp_path / "made", "--library", "native", JAVA_OPTIONS)
    jar = str(files("openapi_generator_cli") / "openapi-generator.jar")  # has Jackson in it
    sources = [*(tmp_path / "made/src/main").rglob("*.java"), *CLIENTS.glob("*.java")]
    output("javac", "-cp", jar, "-d", "classes", *sources, folder=tmp_path)
    walk = ["java", "-cp", f"{jar}{os.pathsep}classes", "Walk"]
    shown = output(
        *walk, folder=tmp_path, WECHAT_KF_API_URL=signed_url, EXTERNAL_ID=external_id, ICON=ICON
    )
    assert json.loads(shown) == EXPECTED


@needs("go")
@pytest.mark.skipif(not GO_VALIDATOR.exists(), reason="golang-gopkg-validator.v2-dev is missing")
def test_openapi_generator_go(tmp_path: Path, signed_url: str, external_id: str) -> None:
    (tmp_path / "src").mkdir()
    openapi_generator("go", tmp_path / "src/kf", "--package-name", "kf")
    shown = output(
        *("go", "run", CLIENTS / "walk.go"),
        folder=tmp_path,
        # packages of the machine, not of the internet
        GO111MODULE="off",
        GOPATH=f"{tmp_path}{os.pathsep}{GO_PACKAGES}",
        WECHAT_KF_API_URL=signed_url,
        EXTERNAL_ID=external_id,
        ICON=ICON,
    )
    assert json.loads(shown) == EXPECTED


@pytest.mark.skipif(not (NPM / "node_modules").exists(), reason="npm install in tests/npm first")
def test_openapi_ts(tmp_path: Path, stack: StackInfo, external_id: str) -> None:
    (tmp_path / "node_modules").symlink_to(NPM / "node_modules")
    (tmp_path / "walk.ts").write_bytes((NPM / "walk.ts").read_bytes())
    tools = "node_modules/.bin"

    output("node", f"{tools}/openapi-ts", "-i", OPENAPI, "-o", "client", folder=tmp_path)
    options = "--strict --target es2022 --module commonjs --moduleResolution node10 --types node"
    compiler = ["node", f"{tools}/tsc", *options.split(), "--skipLibCheck"]
    output(*compiler, "walk.ts", folder=tmp_path)
    shown = output(
        *("node", "walk.js"),
        folder=tmp_path,
        WECHAT_KF_API_URL=stack.api_url,
        AWS_REGION=stack.region,
        AWS_ACCESS_KEY_ID=stack.access_key_id,
        AWS_SECRET_ACCESS_KEY=stack.secret_access_key,
        EXTERNAL_ID=external_id,
        ICON=ICON,
    )
    assert json.loads(shown) == EXPECTED
