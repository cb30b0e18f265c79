"""A `requests` session that knows when nothing was sent, and that keeps secrets out of logs."""

from __future__ import annotations

import logging
import re
from time import time as now  # a monotonic clock may stop in a frozen function
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError


def never_connected(error: Exception) -> bool:
    """Return whether a request failed before its first byte could leave."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def new_session() -> requests.Session:
    """Make a session that takes nothing from the environment and repeats nothing."""
    _redact_urllib3_logs()
    session = requests.Session()
    session.trust_env = False
    session.headers.update(
        # A compressed reply gains nothing here; one that comes all the same is read within bounds.
        {"Accept-Encoding": "identity", "User-Agent": "wechat-kf"}
    )
    adapter = _Adapter(max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


IDLE_SECONDS = 15.0


class _CertainConnection:
    """Leaves as few calls as possible in doubt about whether they were sent.

    Every failure up to and including the TLS handshake counts as "could not connect": urllib3
    reports a connection that is reset during the handshake in the same way as one that is reset
    after the request went out, and only the first of the two is certainly not sent.

    A connection that was idle for longer than `IDLE_SECONDS` is replaced: a function that was
    frozen between two events, or needed fewer connections for a while, holds some that are dead.
    """

    debuglevel = 0  # http.client's debug print would show the path with the access token
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        """The pool asks before it uses a connection again."""
        connected: bool = super().is_connected  # type: ignore[misc]
        return connected and now() - self._used_at <= IDLE_SECONDS

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used_at = now()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except (OSError, HTTPError) as error:
            reason = type(error).__name__
        else:
            return
        raise NewConnectionError(self, reason)  # type: ignore[arg-type]


class _HttpConnection(_CertainConnection, HTTPConnection):
    pass


class _HttpsConnection(_CertainConnection, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


_SECRET_IN_QUERY = re.compile(r"\b(access_token|secret)=[^&\s\"']+")


class _QueryRedaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _SECRET_IN_QUERY.sub(r"\1=***", record.getMessage())
        record.args = ()
        return True


_REDACTION = _QueryRedaction()


def _redact_urllib3_logs() -> None:
    """urllib3 logs each path with its query at DEBUG; adding one filter twice has no effect."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_REDACTION)
