"""Server of the demo page. It holds the credentials, so that the browser does not need them.

    /                  the page; its files are under /static/
    /api/{path}        the deployed API, signed with SigV4 on the way
    /wechat/{path}     the simulator's control API (`/_sim/{path}`): the buyers' phones
    /live              all events in real time (Server-Sent Events)
    /docs/{path}       the pages of docs/, as text
    /openapi.yaml      the document of the API
    /error-texts       what the API's codes mean, in Chinese
    /demo              GET: the AppID and the switches
    /demo/shops        POST: open the two demo shops
    /demo/subscribe    POST: subscribe the page's own receiver for a merchant
    /demo/campaign     POST: let buyers enter, and broadcast to them
    /demo/rows/{…}     GET: a message as DynamoDB stores it
    /demo/switches     PUT: turn faults on and off

It listens on the loopback address only and serves only its own page: requests under another host
name (DNS rebinding) or from another site's page are refused.

    python -m wechat_kf_local.page --port 0    prints {"url": "http://127.0.0.1:…"}

LOCAL_DIR names the stack.
"""

import argparse
import asyncio
import json
import re
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import requests
from aiohttp import web

from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener
from wechat_kf_cli.stack.clients import (
    ApiClient,
    NothingFoundError,
    PushRefusedError,
    aws_client,
)
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import ROOT, StackInfo, StateDirectory
from wechat_kf_local.page.campaign import start_campaign
from wechat_kf_local.page.feed import Event, Feed
from wechat_kf_local.page.rows import Item, read_received_row, read_sent_row
from wechat_kf_local.page.shops import ShopError, open_demo_shops, subscribe
from wechat_kf_local.page.steps import Steps, event_namer
from wechat_kf_local.page.switches import Switches, UnknownSwitchError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

STATIC: Final = Path(__file__).parent / "static"
DOCS: Final = ROOT / "docs"
OPENAPI: Final = DOCS / "openapi.yaml"
ERROR_TEXTS: Final = DOCS / "error-texts.zh-CN.json"
MAX_BODY: Final = 8 * 1024 * 1024
HEARTBEAT_SECONDS: Final = 15.0
STACK_POLL_SECONDS: Final = 0.2
SHUTDOWN_SECONDS: Final = 0.3
KEY_HEADER: Final = "Idempotency-Key"
PASSED_REQUEST_HEADERS: Final = ("Content-Type", KEY_HEADER)
SEND: Final = re.compile(r"/merchants/[^/]+/messages(/[^/]+/retry)?")
PASSED_RESPONSE_HEADERS: Final = ("Content-Type", "Location")
SAFETY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
UNREACHABLE: Final = (requests.RequestException, aiohttp.ClientError, OSError)


class PageServer:
    """The handlers. They return 503 until the stack is up, which may start after the page."""

    def __init__(self, state: StateDirectory) -> None:
        self._state = state
        self._feed = Feed()
        self._opening = asyncio.Lock()
        self._opened = False
        self._session: aiohttp.ClientSession
        self._known: tuple[StackInfo, Switches] | None = None

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY, middlewares=[_guard, _explain])
        application.add_routes(
            [
                web.get("/", _index),
                web.get("/error-texts", _error_texts),
                web.get("/openapi.yaml", _openapi),
                web.get("/docs/{path:.+}", _docs),
                web.static("/static", STATIC),
                web.route("*", "/api/{path:.*}", self._api),
                web.route("*", "/wechat/{path:.*}", self._wechat),
                web.get("/live", self._live),
                web.get("/demo", self._demo),
                web.post("/demo/shops", self._open_shops),
                web.post("/demo/subscribe/{business_id}", self._subscribe),
                web.post("/demo/campaign", self._campaign),
                web.get("/demo/rows/{business_id}/{message_id}", self._row(read_sent_row)),
                web.get(
                    "/demo/rows/{business_id}/{openid}/{event_id}", self._row(read_received_row)
                ),
                web.put("/demo/switches", self._turn),
            ]
        )
        application.cleanup_ctx.append(self._lifetime)
        return application

    async def _lifetime(self, _application: web.Application) -> AsyncIterator[None]:
        self._session = aiohttp.ClientSession()
        following = asyncio.create_task(self._follow())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await self._session.close()

    async def _follow(self) -> None:
        while not self._state.stack_file.exists():
            await asyncio.sleep(STACK_POLL_SECONDS)
        stack = self._stack
        async with asyncio.TaskGroup() as group:
            feed, session = self._feed, self._session
            wechat = f"{stack.simulator_url}/_sim/events"
            group.create_task(feed.follow(session, "wechat", wechat, event_namer(_opener(stack))))
            group.create_task(feed.follow(session, "webhook", f"{stack.receiver_url}/events"))
            group.create_task(feed.follow_steps(Steps(aws_client(stack, "logs")).read))
            group.create_task(feed.follow_queues(stack))

    @property
    def _stack(self) -> StackInfo:
        return self._found[0]

    @property
    def _switches(self) -> Switches:
        return self._found[1]

    @property
    def _found(self) -> tuple[StackInfo, Switches]:
        if self._known is None:
            stack = self._state.read()
            self._known = stack, Switches(stack)
        return self._known

    async def _api(self, request: web.Request) -> web.Response:
        """Forward to the API, in a thread because the shared signing client is synchronous.

        Sends are events too: every open page shows them.
        """
        path, body = request.raw_path.removeprefix("/api"), await request.read()
        is_send = request.method == "POST" and SEND.fullmatch(path)
        key = {"id": secrets.token_hex(8), "idempotency_key": request.headers.get(KEY_HEADER)}
        if is_send:
            content = json.loads(body) if body else None
            self._feed.publish("api", {"kind": "sending", "path": path, "body": content, **key})
        answer = await asyncio.to_thread(
            ApiClient.of(self._stack).request,
            request.method,
            path,
            body=body,
            headers=_pick_headers(request),
        )
        if is_send:
            result = {"status": answer.status_code, "answer": answer.json()}
            self._feed.publish("api", {"kind": "answered", **result, **key})
        headers = {
            name: answer.headers[name] for name in PASSED_RESPONSE_HEADERS if name in answer.headers
        }
        return web.Response(status=answer.status_code, body=answer.content, headers=headers)

    async def _wechat(self, request: web.Request) -> web.Response:
        path = request.raw_path.removeprefix("/wechat")
        async with self._session.request(
            request.method,
            f"{self._stack.simulator_url}/_sim{path}",
            data=await request.read(),
            headers=_pick_headers(request),
        ) as answer:
            headers = {"Content-Type": answer.headers.get("Content-Type", "application/json")}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    async def _demo(self, _request: web.Request) -> web.Response:
        document = {"app_id": self._stack.app_id, "switches": self._switches.positions}
        return web.json_response(document)

    async def _open_shops(self, _request: web.Request) -> web.Response:
        async with self._opening:
            if not self._opened:
                await asyncio.to_thread(open_demo_shops, self._stack)
                self._opened = True
        return web.Response(status=204)

    async def _subscribe(self, request: web.Request) -> web.Response:
        await asyncio.to_thread(subscribe, self._stack, request.match_info["business_id"])
        return web.Response(status=204)

    async def _campaign(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        started = await asyncio.to_thread(start_campaign, self._stack, **wanted)
        return web.json_response(started, status=202)

    def _row(self, read: Callable[..., Item | None]) -> Handler:
        """Return the handler that answers with the row that `read` finds."""

        async def handle(request: web.Request) -> web.Response:
            row = await asyncio.to_thread(read, self._stack, **request.match_info)
            return web.json_response(row, status=200 if row else 404)

        return handle

    async def _turn(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if not isinstance(wanted, dict):
            raise UnknownSwitchError("the body must be an object of switches")
        await self._switches.turn(wanted)
        positions = {"kind": "switches", "switches": self._switches.positions}
        self._feed.publish("demo", positions, keep=False)
        return web.json_response(self._switches.positions)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.headers.update(SAFETY_HEADERS)
        await response.prepare(request)
        with self._feed.watch() as events:
            await response.write(b": listening\n\n")
            while True:
                await response.write(await _next_event(events))


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that do not come from our page; add security headers to responses."""
    if not _is_own(request):
        return _problem(403, "foreign_page", "this server serves only its own page")
    response = await handler(request)
    if not response.prepared:
        response.headers.update(SAFETY_HEADERS)
    return response


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Convert failures to problem documents like the API's."""
    try:
        return await handler(request)
    except StackError as error:
        return _problem(503, "stack_not_up", str(error))
    except (UnknownSwitchError, json.JSONDecodeError) as error:
        return _problem(400, "invalid_request", str(error))
    except ShopError as error:
        return _problem(502, "shop_not_opened", str(error))
    except (PushRefusedError, NothingFoundError) as error:
        return _problem(502, "buyer_not_entered", f"a buyer could not enter: {error}")
    except UNREACHABLE as error:
        return _problem(502, "unreachable", f"the stack did not respond: {type(error).__name__}")


def _opener(stack: StackInfo) -> PushOpener:
    keys = [PushKeys(stack.push_token, stack.encoding_aes_key)]
    return PushOpener(app_id=stack.app_id, mode=PushMode.SECURE, keys=keys)


def _is_own(request: web.Request) -> bool:
    port = request.transport.get_extra_info("sockname")[1] if request.transport else None
    if request.host not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return False
    if request.headers.get("Origin", f"http://{request.host}") != f"http://{request.host}":
        return False
    # A link from another site may open the page itself and nothing else.
    site = request.headers.get("Sec-Fetch-Site", "none")
    return site in ("same-origin", "none") or (request.path == "/" and request.method == "GET")


def _pick_headers(request: web.Request) -> dict[str, str]:
    return {
        name: request.headers[name] for name in PASSED_REQUEST_HEADERS if name in request.headers
    }


async def _index(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")


async def _error_texts(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(ERROR_TEXTS)


async def _openapi(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(OPENAPI, headers={"Content-Type": "text/yaml; charset=utf-8"})


async def _docs(request: web.Request) -> web.FileResponse:
    file = (DOCS / request.match_info["path"]).resolve()
    if not (file.is_relative_to(DOCS) and file.is_file()):
        raise web.HTTPNotFound
    return web.FileResponse(file, headers={"Content-Type": "text/plain; charset=utf-8"})


async def _next_event(events: asyncio.Queue[Event]) -> bytes:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            event = await events.get()
    except TimeoutError:
        return b": still here\n\n"
    return f"data: {json.dumps(event)}\n\n".encode()


def _problem(status: int, code: str, detail: str) -> web.Response:
    document: dict[str, Any] = {"status": status, "code": code, "detail": detail}
    return web.json_response(document, status=status, content_type="application/problem+json")


async def _serve(port: int) -> None:
    server = PageServer(StateDirectory.from_environment())
    runner = web.AppRunner(
        server.application(),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
        await _wait_for_signal()
    finally:
        await runner.cleanup()


async def _wait_for_signal() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="wechat_kf_local.page",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    asyncio.run(_serve(parser.parse_args(arguments).port))
