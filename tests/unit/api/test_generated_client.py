"""A typed client that a public generator makes of docs/openapi.yaml, calling the routes.

tests/e2e/test_generated_clients.py calls the stack, also with `@hey-api/openapi-ts`.
openapi-generator for Python, Java and Go is tried by hand when the document's forms change.
"""

from __future__ import annotations

import base64
import importlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from tests.merchants_app import MerchantsApp
from tests.messages_app import MessagesApp
from tests.unit.api.http_events import http_event
from wechat_kf_cli.stack.state import ROOT

GIF = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=")
THROTTLED = "/merchants/7"


class Routes(httpx.BaseTransport):
    """API Gateway's part: requests become events, and one path is throttled."""

    def __init__(self) -> None:
        self.merchants, self.messages = MerchantsApp(), MessagesApp()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, request.read()
        if path == THROTTLED:
            return httpx.Response(429, json={"message": "Too Many Requests"})
        event = http_event(request.method, path, headers=dict(request.headers))
        event["queryStringParameters"] = dict(parse_qsl(request.url.query.decode()))
        is_text = request.headers.get("content-type", "").startswith("application/json")
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
        event["isBase64Encoded"] = not is_text
        of_merchants = path.count("/") <= 2 and path.startswith("/merchants")
        answer = (self.merchants if of_merchants else self.messages).resolve(event)
        content = answer["body"].encode()
        if answer["isBase64Encoded"]:
            content = base64.b64decode(content)
        return httpx.Response(answer["statusCode"], headers=answer["headers"], content=content)


class Generated:
    """The generated package: `call` makes a request, `model` finds a class."""

    def __init__(self) -> None:
        package = importlib.import_module("wechat_kf_client")
        self._models = importlib.import_module("wechat_kf_client.models")
        self.routes = Routes()
        self._client = package.Client(
            base_url="https://api.example.com", httpx_args={"transport": self.routes}
        )

    def model(self, name: str, **members: Any) -> Any:
        return getattr(self._models, name)(**members)

    def call(self, operation: str, *path: str, **arguments: Any) -> Any:
        module = importlib.import_module(f"wechat_kf_client.api.{operation}")
        return module.sync(*path, client=self._client, **arguments)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the client."""
    home = tmp_path_factory.mktemp("client")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    command += ["--path", str(ROOT / "docs" / "openapi.yaml")]
    command += ["--output-path", str(home / "wechat_kf_client")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return home


@pytest.fixture
def client(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Generated]:
    monkeypatch.syspath_prepend(package)
    yield Generated()
    for name in [name for name in sys.modules if name.startswith("wechat_kf_client")]:
        del sys.modules[name]


def test_a_merchant_is_registered_changed_and_listed(client: Generated) -> None:
    wanted = client.model(
        "RegisterMerchantRequest",
        nickname="苹果旗舰店",
        external_id="m-1",
        icon=base64.b64encode(GIF).decode(),
    )
    merchant = client.call("merchants.register_merchant", body=wanted)
    change = client.model("ChangeMerchantRequest", nickname="梨子旗舰店")
    client.call("merchants.change_merchant", merchant.business_id, body=change)
    page = client.call("merchants.list_merchants")
    assert [item.nickname for item in page.items] == ["梨子旗舰店"]
    assert page.next_cursor is None


def test_a_message_is_sent_and_a_broken_rule_is_a_problem(client: Generated) -> None:
    def send(text: str) -> Any:
        content = client.model("TextContent", type_="text", text=text)
        body = client.model("SendMessageRequest", openid="buyer", message=content)
        return client.call("messages.send_message", "42", body=body, idempotency_key="k1")

    sent = send("您好")
    assert sent.business_id == "42"
    assert client.call("messages.read_message", "42", sent.message_id).openid == "buyer"
    refused = send("")
    assert (type(refused).__name__, refused.code, refused.field) == (
        "Problem",
        "invalid_request",
        "message.text",
    )


def test_a_page_of_recipients_leads_to_the_next(client: Generated) -> None:
    card = {"title": "t", "description": "d", "url": "https://x", "thumb_url": "https://y"}
    message = client.model("LinkContent", type_="link", **card)
    body = client.model("CreateBroadcastRequest", openids=["a", "b"], message=message)
    broadcast = client.call("broadcasts.create_broadcast", "42", body=body)
    found, cursor = [], None
    for _ in range(2):
        page = client.call(
            "broadcasts.list_broadcast_recipients",
            "42",
            broadcast.broadcast_id,
            limit=1,
            cursor=cursor,
        )
        found += [item.openid for item in page.items]
        cursor = page.next_cursor
    assert (found, cursor) == (["a", "b"], None)


def test_an_image_goes_up_and_comes_down_as_bytes(client: Generated) -> None:
    file = importlib.import_module("wechat_kf_client.types").File(payload=io.BytesIO(GIF))
    media = client.call("media.upload_media", body=file)
    assert client.call("media.download_media", media.media_id).payload.read() == GIF


def test_a_refusal_of_the_gateways_own_is_read_too(client: Generated) -> None:
    refusal = client.call("merchants.read_merchant", THROTTLED.rpartition("/")[2])
    assert refusal.additional_properties == {"message": "Too Many Requests"}
