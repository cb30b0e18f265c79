"""The command line of the simulator and its life as a process."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from wechat_kf_local.simulator.app import create_app
from wechat_kf_local.simulator.settings import CHOICES, Settings, SettingsError
from wechat_kf_local.simulator.world import World

SHUTDOWN_SECONDS: Final = 0.3
_SERVER_OPTIONS: Final = ("host", "port", "seed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. One line of JSON on stdout says where, once it listens."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    server = {name: options.pop(name) for name in _SERVER_OPTIONS}
    settings = Settings()
    try:
        settings.update(options)
    except SettingsError as error:
        parser.error(str(error))
    asyncio.run(serve(settings, **server))


async def serve(settings: Settings, *, host: str, port: int, seed: int | None) -> None:
    """Listen, say where, and end cleanly on a signal."""
    app = create_app(World.create(settings, seed=seed))
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        url = f"http://{host}:{runner.addresses[0][1]}"
        print(json.dumps({"url": url}), flush=True)
        if sys.stderr.isatty():
            print(_introduce(url, settings), file=sys.stderr)
        await _told_to_end()
    finally:
        await runner.cleanup()


def _introduce(url: str, settings: Settings) -> str:
    """Say to people how to begin."""
    query = f"grant_type=client_credential&appid={settings.app_id}&secret={settings.app_secret}"
    return (
        f"WeChat's API is at {url}, what can be set at {url}/_sim; Ctrl-C ends.\n"
        f"AppID {settings.app_id}, AppSecret {settings.app_secret}. Begin with a token:\n"
        f"  curl '{url}/cgi-bin/token?{query}'"
    )


async def _told_to_end() -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wechat-kf simulator",
        description="A WeChat to develop against: the API of api.weixin.qq.com with its rules, "
        "the buyers' phones, and faults on demand. GET /_sim/ lists the control API.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add: Any = parser.add_argument
    default = Settings()
    add("--host", default="127.0.0.1", help="address to listen on; it is not protected, keep it")
    add("--port", type=int, default=0, help="port to listen on, 0 for a free one")
    add("--app-id", default=default.app_id, help="AppID of the Mini Program")
    add("--app-secret", default=default.app_secret, help="its AppSecret")
    add("--push-url", default=default.push_url, help="where pushes go; can be set later")
    add("--push-token", dest="token", default=default.token, help="Token of the message push")
    add("--encoding-aes-key", default=default.encoding_aes_key, help="EncodingAESKey, 43 letters")
    add("--mode", choices=CHOICES["mode"], default=default.mode, help="encryption of pushes")
    add("--format", choices=CHOICES["format"], default=default.format, help="format of pushes")
    add("--token-life", dest="token_life_seconds", type=int, metavar="SECONDS",
        default=default.token_life_seconds, help="expires_in of a new access token")  # fmt: skip
    add("--seed", type=int, help="makes ids, tokens and faults repeatable")
    return parser
