"""AWS, WeChat and a subscriber as one loopback server in a separate process.

It answers at once, so that the CPU of a benchmark's process is all that is measured.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from benchmarks.answers import WECHAT_SAYS_YES, Answers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *[\w.]*?(\w+)\r\n", re.IGNORECASE)


@contextmanager
def loopback() -> Iterator[str]:
    """The server's origin, while it runs."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


class _Peer(asyncio.Protocol):
    """One connection: just enough HTTP for botocore, requests and http.client."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ended, rest = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if ended and len(rest) >= size:
            self._received = rest[size:]
            self._transport.write(self._reply(head + b"\r\n", rest[:size]))

    def _reply(self, head: bytes, body: bytes) -> bytes:
        if target := _TARGET.search(head):
            answer = self._answers.answer(target[1].decode(), json.loads(body))
            return _ok(json.dumps(answer).encode(), b"application/x-amz-json-1.0")
        if b"/cgi-bin/" in head.partition(b"\r\n")[0]:
            return _ok(WECHAT_SAYS_YES, b"application/json")
        return b"HTTP/1.1 204 No Content\r\n\r\n"


def _ok(body: bytes, media_type: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (media_type, len(body), body)
    )  # fmt: skip


def _serve(pipe: Connection) -> None:
    asyncio.run(_run(pipe))


async def _run(pipe: Connection) -> None:
    answers: list[Answers] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: _Peer(answers[0]), "127.0.0.1", 0
    )
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    answers.append(Answers(origin))
    pipe.send(origin)
    await server.serve_forever()
