"""Writes whose answer is lost on the way: botocore repeats them, and they meet themselves."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")


@dataclass
class LossyProxy:
    """Stands before DynamoDB; drops the answer of the next successful write after `lose_next`."""

    target: str
    lost: list[str] = field(default_factory=list)
    url: str = ""
    _losing: bool = False

    def lose_next(self) -> None:
        self._losing = True

    def takes_away(self, operation: str) -> bool:
        if not self._losing or operation not in WRITES:
            return False
        self._losing = False
        self.lost.append(operation)
        return True

    @contextmanager
    def running(self) -> Iterator[LossyProxy]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(proxy: LossyProxy) -> type[BaseHTTPRequestHandler]:
    target = urlsplit(proxy.target)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection(target.hostname or "", target.port)
            connection.request("POST", self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.close_connection = True
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            if answer.status == 200 and proxy.takes_away(operation):
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Log nothing."""

    return Handler


class LosingClient:
    """A DynamoDB client that repeats the next write after `lose_next`, as botocore would.

    Without the proxy's time; and a transaction's request token is another the second time, so
    that the adapter must recognize its own write by itself.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._losing = False

    def lose_next(self) -> None:
        self._losing = True

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name not in ("put_item", "update_item", "delete_item", "transact_write_items"):
            return method

        def write(**request: Any) -> Any:
            if self._losing:
                self._losing = False
                with suppress(ClientError):
                    method(**request)
            return method(**request)

        return write
