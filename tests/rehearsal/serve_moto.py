"""moto's server, started by the Python of .venv-moto.

Calls of DynamoDB go through one at a time: moto's tables are not safe against threads, and lose
updates that DynamoDB would keep.

    python tests/rehearsal/serve_moto.py PORT
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class OneAtATime:
    """A WSGI application that serializes the calls of DynamoDB."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return self._application(environ, start_response)
        with self._lock:
            return list(self._application(environ, start_response))


if __name__ == "__main__":
    dispatcher = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), OneAtATime(dispatcher), threaded=True)
