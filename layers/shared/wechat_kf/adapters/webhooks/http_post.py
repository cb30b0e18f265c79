"""Post to a host that may be down, slow or hostile.

Why not requests or urllib3: their time limits are per read, so a reply can take hours; they resolve
the name themselves, after we checked it; and they log URLs. The standard library's `http.client`
speaks HTTP over a connection that we opened.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import certifi

from wechat_kf.adapters.webhooks.public_addresses import ForbiddenAddressError, check_addresses
from wechat_kf.adapters.webhooks.webhook_url import WebhookUrl

TOTAL_SECONDS = 5.0
CONNECT_SECONDS = 2.0
MOST_ADDRESSES = 3
MOST_INFORMATIONAL = 5
"""Informational replies (1xx) that we skip before the final one."""

EXCERPT_BYTES = 256
"""What we read of a reply's body, to show the subscriber's owner what went wrong."""

Resolve = Callable[[str, int], Sequence[str]]
"""Return the addresses of a host name. May block; raises OSError."""


class PostError(Exception):
    """There was no reply. `reason` is one of a few constant phrases and never contains the URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Request:
    """A POST."""

    url: WebhookUrl
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """The part of a reply that we use. `excerpt` is the beginning of an error's body."""

    status: int
    retry_after: str | None
    excerpt: str = field(default="", repr=False)


def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; IPv4 first: a function outside a VPC has no route over IPv6."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return sorted(addresses, key=lambda address: ":" in address)


def create_tls_context() -> ssl.SSLContext:
    """Verify names and chains as curl does.

    Python 3.13 also demands what RFC 5280 asks of well-formed certificates (VERIFY_X509_STRICT),
    which roots in use do not meet: https://docs.python.org/3/library/ssl.html
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class HttpPoster:
    """Posts to public addresses only; threads may share it.

    Every address of a name must be public, and the connection goes to the address that was checked:
    no second look-up can answer differently. Redirects are not followed. Proxies and other settings
    of the environment are ignored.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        total_seconds: float = TOTAL_SECONDS,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._total_seconds = total_seconds
        self._resolve = resolve
        self._tls = tls or create_tls_context()
        self._resolvers = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")

    def post(self, request: Request) -> Reply:
        """Post `request` and return the reply, within one time limit for all steps.

        Raises:
            PostError: there was no reply.
        """
        deadline = _Deadline(self._total_seconds)
        try:
            with self._connect(request.url, deadline) as connected:
                return _exchange(request, _TimedSocket(connected, deadline))
        except ForbiddenAddressError:
            reason = "address not allowed"
        except TimeoutError:
            reason = "timed out"
        except socket.gaierror:
            reason = "name not resolved"
        except ssl.SSLError:
            reason = "TLS failed"
        except OSError:
            reason = "connection failed"
        except (http.client.HTTPException, ValueError):
            reason = "no HTTP reply"
        # Outside the handlers, so that the other side's exception is not even our context.
        raise PostError(reason)

    def _connect(self, url: WebhookUrl, deadline: _Deadline) -> socket.socket:
        connected = _connect_to_any(self._resolve_host(url, deadline), url.port, deadline)
        if not url.secure:
            return connected
        try:
            connected.settimeout(deadline.left())
            return self._tls.wrap_socket(connected, server_hostname=url.host)
        except BaseException:
            connected.close()
            raise

    def _resolve_host(self, url: WebhookUrl, deadline: _Deadline) -> Sequence[str]:
        # In a thread, because a look-up has no time limit.
        lookup = self._resolvers.submit(self._resolve, url.host, url.port)
        addresses = lookup.result(timeout=deadline.left())
        return check_addresses(addresses, allow_loopback=self._allow_loopback)


def _connect_to_any(addresses: Sequence[str], port: int, deadline: _Deadline) -> socket.socket:
    failure: OSError = OSError()
    for address in addresses[:MOST_ADDRESSES]:
        try:
            timeout = min(deadline.left(), CONNECT_SECONDS)
            connected = socket.create_connection((address, port), timeout=timeout)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connected
        except OSError as error:
            failure = error
    raise failure


def _exchange(request: Request, connected: _TimedSocket) -> Reply:
    connection = http.client.HTTPConnection(request.url.host, request.url.port)
    connection.sock = cast(Any, connected)
    headers = {"Host": request.url.authority, "Connection": "close", **request.headers}
    connection.request("POST", request.url.path, body=request.body, headers=headers)
    replies = []  # kept, because a reply that is collected closes the reader
    for _ in range(1 + MOST_INFORMATIONAL):
        reply = http.client.HTTPResponse(cast(Any, connected), method="POST")
        replies.append(reply)
        reply.begin()
        if not 102 <= reply.status < 200:
            return Reply(reply.status, reply.getheader("Retry-After"), _read_excerpt(reply))
    raise http.client.HTTPException("too many informational replies")


def _read_excerpt(reply: http.client.HTTPResponse) -> str:
    """Read the beginning of an error's body; a body that does not come is no failure."""
    if reply.status < 300:
        return ""
    try:
        return reply.read(EXCERPT_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError):
        return ""


class _Deadline:
    """One time limit for many steps."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left. Raises TimeoutError when there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _TimedSocket:
    """The part of a socket that `http.client` uses, with one time limit for everything."""

    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected = connected
        self._deadline = deadline
        self._reader = io.BufferedReader(_TimedReader(connected, deadline))

    def sendall(self, data: bytes) -> None:
        self._connected.settimeout(self._deadline.left())
        self._connected.sendall(data)

    def makefile(self, _mode: str) -> Any:
        # One reader for all replies: an informational one may have buffered the next.
        return self._reader

    def close(self) -> None:
        """Do nothing: whoever connected closes."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: _Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connected.settimeout(self._deadline.left())
        return self._connected.recv_into(buffer)
