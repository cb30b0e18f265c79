"""Lambda's Runtime API for one execution environment.

The runtime interface client asks for the next invocation, which blocks until there is one, and
posts its response or its error. See "Using the Lambda runtime API for custom runtimes" in AWS's
Lambda developer guide.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/2018-06-01/runtime"
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100_000


class Outcome(StrEnum):
    """How an invocation, or the init phase, ended."""

    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init error"
    EXIT = "exit"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the function is handed."""

    request_id: str
    function_arn: str
    deadline_ms: int
    event: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an invocation."""

    outcome: Outcome
    body: bytes


class RuntimeApi(ThreadingHTTPServer):
    """Serves one runtime interface client on a port of its own."""

    daemon_threads = True

    def __init__(self, freeze: Callable[[], None], thaw: Callable[[], None]) -> None:
        """`freeze` is called when the client asks for an invocation, `thaw` before it gets one."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.freeze = freeze
        self.thaw = thaw
        self.invocations: queue.Queue[Invocation | None] = queue.Queue()
        self.results: queue.Queue[Result] = queue.Queue()
        self.initialized_at: float | None = None
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def address(self) -> str:
        """What `AWS_LAMBDA_RUNTIME_API` says."""
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed closes its connections; that is no fault of the server."""

    def close(self) -> None:
        self.invocations.put(None)
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RuntimeApi

    def log_message(self, *_: object) -> None:
        """Write nothing: the environment's log belongs to the function."""

    def do_GET(self) -> None:
        if self.path != f"{PREFIX}/invocation/next":
            self._answer(404, {})
            return
        if self.server.initialized_at is None:
            self.server.initialized_at = time.monotonic()
        self.server.freeze()
        invocation = self.server.invocations.get()
        self.server.thaw()
        if invocation is None:
            self.close_connection = True
            return
        self.send_response(200)
        for name, value in {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{0:024x};Sampled=0",
            "Content-Type": "application/json",
            "Content-Length": str(len(invocation.event)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(invocation.event)

    def do_POST(self) -> None:
        body = self._body()
        if self.path == f"{PREFIX}/init/error":
            self.server.results.put(Result(Outcome.INIT_ERROR, body))
        elif self.path.endswith("/response") and len(body) <= MAX_RESPONSE_BYTES:
            self.server.results.put(Result(Outcome.RESPONSE, body))
        elif self.path.endswith("/response"):
            refusal = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": str(len(body))}
            self.server.results.put(Result(Outcome.ERROR, json.dumps(refusal).encode()))
            self._answer(413, refusal)
            return
        else:
            self.server.results.put(Result(Outcome.ERROR, body))
        self._answer(202, {"status": "OK"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, document: dict[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
