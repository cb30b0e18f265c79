"""The HTTP server: the API of WeChat on every path, the control API under /_sim/."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from wechat_kf_local.simulator.api.calls import Call, Upload
from wechat_kf_local.simulator.api.endpoints import Api
from wechat_kf_local.simulator.api.replies import HTML_PAGE, SERVER_ERROR, Reply
from wechat_kf_local.simulator.buyers import Buyers
from wechat_kf_local.simulator.control import Control, Handler, explained
from wechat_kf_local.simulator.delivery import Postman
from wechat_kf_local.simulator.rules.faults import Fault
from wechat_kf_local.simulator.world import World

MAX_BODY: Final = 16 * 1024 * 1024
HANG_SECONDS: Final = 600


def create_app(world: World) -> web.Application:
    """The whole simulator as one application."""
    postman = Postman(world)
    control = Control(world, Buyers(world, postman), postman)
    app = web.Application(client_max_size=MAX_BODY, middlewares=[_control_only])
    app.add_routes(control.routes())
    app.add_routes([web.route("*", "/{path:.*}", ApiServer(world).handle)])

    async def lifetime(_app: web.Application) -> AsyncIterator[None]:
        yield
        await postman.close()

    async def end_streams(_app: web.Application) -> None:
        world.records.events.close()

    app.cleanup_ctx.append(lifetime)
    app.on_shutdown.append(end_streams)
    return app


@web.middleware
async def _control_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The control API's manners are not WeChat's."""
    if request.path.startswith("/_sim"):
        return await explained(request, handler)
    return await handler(request)


class ApiServer:
    """api.weixin.qq.com: reads a call, lets a fault befall it, or answers it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._api = Api(world)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = await _read(request)
        fault = self._world.faults.for_call(call.path, call.openid, call.business_id)
        if fault is None:
            return _response(self._api.answer(call))
        self._world.records.events.publish("fault", fault=fault.kind, path=call.path)
        return await self._befall(request, call, fault)

    async def _befall(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case "busy" | "errcode":
                return _response(self._api.refuse(call, fault.value or 0, fault=fault.kind))
            case "slow" | "wrong_content_type" | "cut_after":
                return await self._done_but(request, call, fault)
        self._api.ignore(call, fault=fault.kind)
        match fault.kind:
            case "http_500":
                return _response(SERVER_ERROR)
            case "html":
                return _response(HTML_PAGE)
            case "hang":
                await asyncio.sleep(HANG_SECONDS)
        return _cut(request)

    async def _done_but(self, request: web.Request, call: Call, fault: Fault) -> web.StreamResponse:
        """The call has its effect; only its answer suffers."""
        reply = self._api.answer(call, fault=fault.kind)
        if fault.kind == "cut_after":
            return _cut(request)
        if fault.kind == "slow":
            await asyncio.sleep((fault.value or 0) / 1000)
            return _response(reply)
        return _response(reply, content_type="application/octet-stream")


async def _read(request: web.Request) -> Call:
    upload, body = None, b""
    if request.content_type == "multipart/form-data":
        upload = await _upload(request)
    else:
        body = await request.read()
    return Call(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        url=str(request.url),
        body=body,
        client_ip=request.remote or "",
        base_url=f"http://{request.host}",
        upload=upload,
    )


async def _upload(request: web.Request) -> Upload | None:
    """The part `media`, or None: also for a body that is no multipart, whatever its header says."""
    try:
        part = (await request.post()).get("media")
    except ValueError:
        return None
    if not isinstance(part, web.FileField):
        return None
    named = "filename=" in part.headers.get("Content-Disposition", "")
    return Upload(part.file.read(), named)


def _response(reply: Reply, content_type: str | None = None) -> web.Response:
    headers = {"Content-Type": content_type or reply.content_type, **reply.headers}
    return web.Response(body=reply.body, status=reply.status, headers=headers)


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()  # goes nowhere
