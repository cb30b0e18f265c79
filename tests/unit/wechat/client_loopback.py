"""A WeChat of canned replies on a loopback socket, able to misbehave like a network."""

import json
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

REPLIES = Path(__file__).parent / "replies"


@dataclass(frozen=True)
class Reply:
    """``ending`` is how the server finishes: normal, cut, truncated, hang or drip."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json; encoding=utf-8"
    headers: dict[str, str] = field(default_factory=dict)
    ending: str = "normal"


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def json_reply(document: Any, **other: Any) -> Reply:
    return Reply(json.dumps(document, ensure_ascii=False).encode(), **other)


def error_reply(errcode: int, errmsg: str = "refused rid: 6114dedc-7e90330d-3fb31e22") -> Reply:
    return json_reply({"errcode": errcode, "errmsg": errmsg})


CUT_AFTER_READING = Reply(ending="cut")
HANG = Reply(ending="hang")


class LoopbackWeChat:
    """Answers each path with the replies queued for it, then with the file of that path."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.queued: dict[str, deque[Reply]] = defaultdict(deque)
        self.cut_before_reading = False
        self.released = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.wechat = self
        self.port: int = self._server.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> "LoopbackWeChat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, *replies: Reply) -> None:
        self.queued[path].extend(replies)

    def reply_to(self, path: str) -> Reply:
        if self.queued[path]:
            return self.queued[path].popleft()
        file = REPLIES / f"{path.lstrip('/')}.json"
        return Reply(file.read_bytes()) if file.exists() else Reply(status=404)

    @property
    def last(self) -> Received:
        return self.received[-1]


class _Server(ThreadingHTTPServer):
    wechat: LoopbackWeChat
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A connection that a test cut is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.wechat.connections += 1
        if self.server.wechat.cut_before_reading:
            # Once the first byte is here; a reset that overtakes it is, rightly, "never sent".
            self.connection.recv(1)
            reset(self.connection)
            raise ConnectionAbortedError

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query, headers = dict(parse_qsl(parts.query)), dict(self.headers.items())
        received = Received(str(self.command), parts.path, query, headers, body)
        self.server.wechat.received.append(received)
        self._finish(self.server.wechat.reply_to(parts.path))

    def _finish(self, reply: Reply) -> None:
        if reply.ending in ("cut", "hang"):
            if reply.ending == "hang":
                self.server.wechat.released.wait(10)
            self.close_connection = True
            return
        missing = 5 if reply.ending == "truncated" else 0
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body) + missing))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(reply)
        self.close_connection = missing > 0 or self.close_connection

    def _write(self, reply: Reply) -> None:
        if reply.ending != "drip":
            self.wfile.write(reply.body)
            return
        for byte in reply.body:
            self.wfile.write(bytes([byte]))
            if self.server.wechat.released.wait(0.03):
                return


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextmanager
def listening_socket() -> Iterator[tuple[socket.socket, int]]:
    """A port that takes connections into its backlog and does nothing with them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, listener.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class FixedTokens:
    """A token source with a list: the first is current, a refusal moves on to the next."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens) or ["ACCESS-TOKEN-1"]
        self.refusals: list[str] = []

    def current(self) -> str:
        return self.tokens[0]

    def refused(self, token: str) -> str:
        self.refusals.append(token)
        if len(self.tokens) > 1:
            self.tokens.pop(0)
        return self.tokens[0]


class ManualClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
