"""The simulator on loopback with a clock that only tests move, and a server for its pushes."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from tests.unit.simulator.simulator_loopback import NOW, Receiver, Simulator
from wechat_kf_local.simulator.app import create_app
from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.world import World


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            request = {
                "query": dict(parse_qsl(urlsplit(self.path).query)),
                "body": self.rfile.read(size),
                "content_type": self.headers.get("Content-Type", ""),
            }
            kept.requests.append(request)
            status, body = kept.answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}/push"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield kept
        server.shutdown()


@pytest.fixture
def simulator(receiver: Receiver) -> Iterator[Simulator]:
    world = World.create(clock=Clock(lambda: NOW), seed=1)
    world.settings.update({"push_url": receiver.url})
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(create_app(world), handler_cancellation=True, shutdown_timeout=0.1)

    async def start() -> int:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        return port

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    client = Simulator(f"http://127.0.0.1:{port}")
    yield client
    client.http.close()
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()
