"""A merchant's system: receives and verifies webhooks, and fails when a test asks it to.

    POST   /hooks/{name}  a webhook; verified with the public `standardwebhooks` library
    PUT    /hooks/{name}  how to respond, as JSON; all fields optional:
                          secret, status (204), headers, delay_seconds, times
    GET    /received      every request so far, oldest first; ?hook=name for one hook's
    DELETE /received      delete them
    GET    /events        requests as they arrive (Server-Sent Events)

A hook without a known secret, or an invalid signature, returns 401 and is recorded with
`verified: false`. `times` limits a setting to the next n requests; after them the hook returns 204.

    python -m wechat_kf_local.webhook_receiver --port 0    prints {"url": "http://127.0.0.1:…"}
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

RECEIVED_LIMIT = 10_000
WATCHED_LIMIT = 1_000
"""Requests kept for a watcher that reads slowly; it misses any beyond."""
HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a hook responds, and how many more times (None: always)."""

    secret: str | None = field(default=None, repr=False)
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """One request as received. `answered` is the status returned; `at` is Unix time."""

    hook: str
    verified: bool
    answered: int
    at: float
    headers: dict[str, str]
    body: str


class Receiver:
    """The hooks and the requests received; one per process."""

    def __init__(self) -> None:
        self._behaviours: dict[str, Behaviour] = {}
        self._received: list[Received] = []
        self._watchers: set[asyncio.Queue[Received]] = set()

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._page),
                web.post("/hooks/{name}", self._receive),
                web.put("/hooks/{name}", self._configure),
                web.get("/hooks", self._hooks),
                web.get("/received", self._list),
                web.delete("/received", self._forget),
                web.get("/events", self._events),
            ]
        )
        return application

    async def _receive(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = await request.text()
        behaviour = self._next_behaviour(name)
        verified = _is_signed(request, body, behaviour.secret)
        status = behaviour.status if verified else 401
        headers = {key.lower(): value for key, value in request.headers.items()}
        self._record(Received(name, verified, status, time.time(), headers, body))
        if behaviour.delay_seconds:
            await asyncio.sleep(behaviour.delay_seconds)
        return web.Response(status=status, headers=behaviour.headers)

    def _record(self, received: Received) -> None:
        if len(self._received) < RECEIVED_LIMIT:
            self._received.append(received)
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(received)

    def _next_behaviour(self, name: str) -> Behaviour:
        behaviour = self._behaviours.get(name, Behaviour())
        if behaviour.times is not None:
            usual = Behaviour(behaviour.secret)
            again = replace(behaviour, times=behaviour.times - 1)
            self._behaviours[name] = again if again.times else usual
        return behaviour

    async def _configure(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        wanted: dict[str, Any] = await request.json()
        secret = self._behaviours.get(name, Behaviour()).secret
        try:
            self._behaviours[name] = Behaviour(**{"secret": secret, **wanted})
        except TypeError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return web.Response(status=204)

    async def _hooks(self, _request: web.Request) -> web.Response:
        return web.json_response({"items": sorted(self._behaviours)})

    async def _list(self, request: web.Request) -> web.Response:
        hook = request.query.get("hook")
        found = [asdict(one) for one in self._received if hook in (None, one.hook)]
        return web.json_response({"items": found})

    async def _forget(self, _request: web.Request) -> web.Response:
        self._received.clear()
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        watcher: asyncio.Queue[Received] = asyncio.Queue(WATCHED_LIMIT)
        self._watchers.add(watcher)
        try:
            await response.write(b": listening\n\n")
            while True:
                await response.write(await _next_event(watcher))
        finally:
            self._watchers.discard(watcher)

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=f"webhook receiver: {len(self._received)} received\n")


async def _next_event(watcher: asyncio.Queue[Received]) -> bytes:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            received = await watcher.get()
    except TimeoutError:
        return b": still here\n\n"
    return f"data: {json.dumps(asdict(received))}\n\n".encode()


def _is_signed(request: web.Request, body: str, secret: str | None) -> bool:
    if secret is None:
        return False
    try:
        Webhook(secret).verify(body, dict(request.headers), json_parse=False)
    except WebhookVerificationError:
        return False
    return True


async def _serve(port: int) -> None:
    runner = web.AppRunner(Receiver().application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    await asyncio.Event().wait()


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="wechat_kf_local.webhook_receiver", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    asyncio.run(_serve(parser.parse_args(arguments).port))


if __name__ == "__main__":
    main(sys.argv[1:])
