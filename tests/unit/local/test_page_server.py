"""The demo page's server answers its own page, and nobody else; it signs, and passes on."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local.page.icons import png
from wechat_kf_local.page.server import PageServer
from wechat_kf_local.page.shops import DEMO_SHOPS

Client = TestClient[web.Request, web.Application]
Scene = Callable[[Client], Awaitable[Any]]


async def _echo(request: web.Request) -> web.Response:
    """Stands in for the API and the simulator: echoes what it received."""
    told = {
        "path": request.path_qs,
        "signed": request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"),
        "key": request.headers.get("Idempotency-Key"),
        "cookie": request.headers.get("Cookie"),
        "body": await request.text(),
    }
    return web.json_response(told, status=202, headers={"Location": "/here"})


async def _refuse_push(_request: web.Request) -> web.Response:
    """Stands in for the simulator when the bundle accepts no push."""
    return web.json_response({"accepted": False, "attempts": [{"status": 504}]})


def with_page(directory: Path, scene: Scene, *, stack_up: bool = True) -> Any:
    async def play() -> Any:
        behind = web.Application()
        behind.router.add_post("/_sim/buyers/{openid}/enter", _refuse_push)
        behind.router.add_route("*", "/{path:.*}", _echo)
        async with TestServer(behind) as other:
            state = StateDirectory(directory)
            if stack_up:
                state.write(_info(f"http://127.0.0.1:{other.port}"))
            async with TestClient(TestServer(PageServer(state).application())) as client:
                return await scene(client)

    return asyncio.run(play())


def _info(url: str) -> StackInfo:
    addresses = ("api_url", "push_url", "simulator_url", "receiver_url", "page_url")
    names = ("region", "access_key_id", "secret_access_key", "app_id", "push_token")
    return StackInfo(
        **dict.fromkeys(addresses, url),
        **dict.fromkeys(names, "x"),
        aws_endpoint_url=url,
        encoding_aes_key="x",
        stack_name="x",
        sources="x",
        outputs=dict.fromkeys(("InboundQueueUrl", "DeliveriesQueueUrl", "OutboundQueueUrl"), url),
    )


def status_of(directory: Path, headers: Mapping[str, str], path: str = "/demo") -> int:
    async def scene(client: Client) -> int:
        return (await client.get(path, headers=headers)).status

    status: int = with_page(directory, scene)
    return status


def test_its_own_page_is_answered(tmp_path: Path) -> None:
    assert status_of(tmp_path, {"Sec-Fetch-Site": "same-origin"}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_foreign_page_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    assert status_of(tmp_path, headers) == 403


def test_a_link_from_elsewhere_may_open_the_page(tmp_path: Path) -> None:
    assert status_of(tmp_path, {"Sec-Fetch-Site": "cross-site"}, "/") == 200


def test_what_it_serves_may_neither_be_framed_nor_load_anything_foreign(tmp_path: Path) -> None:
    async def scene(client: Client) -> str:
        return (await client.get("/")).headers["Content-Security-Policy"]

    policy = with_page(tmp_path, scene)

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("local.md", 200),
        ("zh-CN/local.md", 200),
        ("missing.md", 404),
        ("zh-CN", 404),
        ("..%2FREADME.md", 404),
    ],
)
def test_only_the_documents_are_served_under_docs(tmp_path: Path, path: str, status: int) -> None:
    assert status_of(tmp_path, {}, f"/docs/{path}") == status


def test_calls_of_the_api_are_signed_and_passed_on(tmp_path: Path) -> None:
    async def scene(client: Client) -> Any:
        headers = {"Idempotency-Key": "k", "Cookie": "secret=1"}
        url = "/api/merchants/1/messages?a=1"
        answer = await client.post(url, json={"openid": "o"}, headers=headers)
        return answer.status, answer.headers["Location"], await answer.json()

    status, location, told = with_page(tmp_path, scene)

    assert (status, location) == (202, "/here")
    assert told == {
        "path": "/merchants/1/messages?a=1",
        "signed": True,
        "key": "k",
        "cookie": None,
        "body": json.dumps({"openid": "o"}),
    }


def test_calls_of_the_simulator_are_passed_on_unsigned(tmp_path: Path) -> None:
    async def scene(client: Client) -> Any:
        return await (await client.post("/wechat/buyers/o1/text", json={})).json()

    told = with_page(tmp_path, scene)

    assert (told["path"], told["signed"]) == ("/_sim/buyers/o1/text", False)


def test_before_the_stack_is_up_it_says_so(tmp_path: Path) -> None:
    async def scene(client: Client) -> Any:
        answer = await client.get("/demo")
        return answer.status, (await answer.json())["code"]

    assert with_page(tmp_path, scene, stack_up=False) == (503, "stack_not_up")


@pytest.mark.parametrize("wanted", ["[]", "{", '{"busy": 1}', '{"nonsense": true}'])
def test_an_unknown_switch_is_explained(tmp_path: Path, wanted: str) -> None:
    async def scene(client: Client) -> Any:
        answer = await client.put("/demo/switches", data=wanted)
        return answer.status, (await answer.json())["code"]

    assert with_page(tmp_path, scene) == (400, "invalid_request")


def test_a_campaign_that_no_buyer_can_enter_is_explained(tmp_path: Path) -> None:
    async def scene(client: Client) -> Any:
        wanted = {"business_id": "1", "buyers": 3, "text": "Hello"}
        answer = await client.post("/demo/campaign", json=wanted)
        return answer.status, (await answer.json())["code"]

    assert with_page(tmp_path, scene) == (502, "buyer_not_entered")


def test_each_demo_shop_has_an_icon_of_its_own() -> None:
    icons = {png(shop.icon) for shop in DEMO_SHOPS}

    assert len(icons) == len(DEMO_SHOPS)
    assert all(icon.startswith(b"\x89PNG\r\n\x1a\n") for icon in icons)
