"""Subscribers of every character, as HTTP servers on loopback for the deployed stack."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from tests.chaos.reckoning import Receipt

CHARACTERS = ("honest", "slow", "lying", "busy", "moody", "dead", "gone")
"""`moody` is down while it is told to be; `dead` never listened; `gone` says 410 one day."""

IMPATIENT_AFTER_SECONDS = 6.0
"""Longer than our side waits for an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a hook says; `takes` tells whether it has the event then, whatever it says."""

    status: int = 204
    takes: bool = True
    delay_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class Subscribers:
    """All hooks, in threads of this process. `receipts` are what they have in their hands."""

    def __init__(self, random: Random, *, farewell_after: int, most_refusals: int) -> None:
        self._random = random
        self._farewell_after = farewell_after
        self._most_refusals = most_refusals
        self._lock = threading.Lock()
        self._refusals = 0
        self._taken_by_gone = 0
        self.secrets: dict[str, str] = {}
        self.receipts: list[Receipt] = []
        self.forged = 0
        self.moody_is_down = False
        self.farewell_at = 0.0
        self.url = ""
        self.dead_url = ""
        self._characters: dict[str, Callable[[], Answer]] = {
            "honest": Answer,
            "slow": self._slow,
            "lying": self._lying,
            "busy": self._busy,
            "moody": lambda: Answer(502, takes=False) if self.moody_is_down else Answer(),
            "gone": self._gone,
        }

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Serve until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # and never listens: nobody else can, either
            self.dead_url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
            self.url = f"http://127.0.0.1:{server.server_address[1]}"
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                server.server_close()

    def hook(self, name: str) -> str:
        """The address to subscribe with."""
        return self.dead_url if name == "dead" else f"{self.url}/{name}"

    def received(self) -> list[Receipt]:
        """So far."""
        with self._lock:
            return list(self.receipts)

    def take(self, name: str, headers: dict[str, str], body: str) -> Answer:
        """One request: note it and choose the answer."""
        with self._lock:
            try:
                Webhook(self.secrets[name]).verify(body, headers, json_parse=False)
            except (KeyError, WebhookVerificationError):
                self.forged += 1
                return Answer(401, takes=False)
            answer = self._characters[name]()
            if answer.takes:
                event_id = json.loads(body)["id"]
                accepted = answer.status < 300 and answer.delay_seconds < IMPATIENT_AFTER_SECONDS
                self.receipts.append(Receipt(name, event_id, time.time(), accepted))
            return answer

    def _slow(self) -> Answer:
        if self._random.random() < 0.005:
            return Answer(delay_seconds=IMPATIENT_AFTER_SECONDS)
        return Answer(delay_seconds=self._random.uniform(0, 0.3))

    def _lying(self) -> Answer:
        return Answer(500) if self._random.random() < 0.1 else Answer()

    def _busy(self) -> Answer:
        if self._refusals < self._most_refusals and self._random.random() < 0.1:
            self._refusals += 1
            return Answer(429, takes=False, headers={"Retry-After": "1"})
        return Answer()

    def _gone(self) -> Answer:
        if self._taken_by_gone >= self._farewell_after:
            self.farewell_at = self.farewell_at or time.time()
            return Answer(410, takes=False)
        self._taken_by_gone += 1
        return Answer()


def _handler_of(subscribers: Subscribers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = subscribers.take(self.path.strip("/"), headers, body)
            time.sleep(answer.delay_seconds)
            try:
                self.send_response(answer.status)
                for name, value in {"Content-Length": "0", **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
            except OSError:  # our side did not wait
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
