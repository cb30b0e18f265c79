"""A warm `push`, against the one SQS call it makes: CPU of this process only.

SQS and Secrets Manager are a loopback server in another process that answers at once, so what is
compared is botocore's own work with all of ours around it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, cpu_microseconds
from benchmarks.samples import AES_KEY, TOKEN, BodyFormat, sealed_push
from benchmarks.template_environment import function_environment

ROOT = Path(__file__).parents[1]


class _Aws(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 64 * 1024  # one write per answer, else Nagle's algorithm adds 40 ms to each
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = self._answer(self.headers.get("X-Amz-Target", ""))
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, target: str) -> dict[str, str]:
        if target.endswith("GetSecretValue"):
            secret = json.dumps({"token": TOKEN, "encoding_aes_key": AES_KEY})
            return {"ARN": "arn", "Name": "push", "SecretString": secret}
        return {"MessageId": "m", "SequenceNumber": "1"}

    def log_message(self, *_: Any) -> None:
        pass


def _serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    pipe.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def _aws() -> Iterator[str]:
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def rows() -> list[Row]:
    """`parameter_validation` and all else as the handler's own client has it."""
    with _aws() as endpoint:
        os.environ.update(function_environment("push"), AWS_ENDPOINT_URL=endpoint)
        sys.path.insert(0, str(ROOT / "functions" / "push"))
        import push_handler  # noqa: PLC0415 - reads its settings at import

        body, query = sealed_push(BodyFormat.XML, int(time.time()))
        event = {
            "requestContext": {"http": {"method": "POST"}},
            "queryStringParameters": query,
            "body": body.decode(),
            "isBase64Encoded": False,
        }
        assert push_handler.handler(event, None)["body"] == "success"
        message = json.dumps({"id": "x" * 64, "data": body.decode()})

        def one_call() -> object:
            return push_handler.SQS.send_message(
                QueueUrl=push_handler.SETTINGS.inbound_queue_url,
                MessageBody=message,
                MessageGroupId="42#buyer",
                MessageDeduplicationId="x" * 64,
            )

        with _quiet():
            ours, floor = cpu_microseconds(
                [lambda: push_handler.handler(event, None), one_call], rounds=21, calls=60
            )
    return [Row("warm push", ours, floor, "µs", ours / floor, 1.2, at_least=False)]


@contextmanager
def _quiet() -> Iterator[None]:
    """The log line is written as always, to a file that keeps nothing."""
    with open(os.devnull, "w") as nowhere:
        stdout, sys.stdout = sys.stdout, nowhere
        import push_handler  # noqa: PLC0415

        streams = [(handler, handler.stream) for handler in push_handler.logger.handlers]  # type: ignore[attr-defined]
        for handler, _ in streams:
            handler.stream = nowhere  # type: ignore[attr-defined]
        try:
            yield
        finally:
            sys.stdout = stdout
            for handler, stream in streams:
                handler.stream = stream  # type: ignore[attr-defined]
