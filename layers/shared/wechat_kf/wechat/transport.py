"""HTTP to WeChat: hosts, timeouts, and exact knowledge of what a failed call may have done.

A WeChat send has no idempotency key, so it matters whether a call that failed can have reached
WeChat. `Transport` answers with `TransportError.sent`: `"never"` when the connection could
not be made, `"perhaps"` for everything after that. Only a call that was never sent is tried on
the next host.

Source: docs/wechat-api.md, sections 2, 11.1 and 14 (network layer).
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from urllib3.exceptions import HTTPError

from wechat_kf.wechat.encoding import encode_json
from wechat_kf.wechat.errors import InvalidInputError, MalformedReplyError, TransportError
from wechat_kf.wechat.operations import Operation

if TYPE_CHECKING:
    import requests

DEFAULT_HOSTS = ("https://api.weixin.qq.com", "https://api2.weixin.qq.com")
"""The nearest host, and the remote one for disaster recovery."""

MAX_REPLY_BYTES = 10 * 1024 * 1024

_CHUNK_BYTES = 64 * 1024
_DETOUR_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits in seconds: to connect, between two reads, and for reading one reply as a whole."""

    connect: float = 2.0
    read: float = 5.0
    reply: float = 10.0


@dataclass(frozen=True, slots=True)
class Upload:
    """One file for a multipart body."""

    field_name: str
    file_name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request: its query and body hold secrets and customers' words, so neither is shown."""

    operation: Operation
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    upload: Upload | None = None

    def with_token(self, token: str) -> Call:
        return replace(self, query={"access_token": token, **self.query})


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back, undecoded."""

    status: int
    body: bytes = field(repr=False)


class Transport:
    """One HTTP session to WeChat.

    `hosts` are full origins such as `https://api.weixin.qq.com`, in the order of preference.
    Plain `http` is accepted for loopback hosts only (the local simulator). Redirects are not
    followed, nothing is retried on the same host, and the proxy settings and `.netrc` of the
    environment are ignored: they would see or change requests that carry an access token.

    The session is made, and `requests` imported, for the first call or by `open`: a function that
    rarely calls WeChat does not pay for it at each start.
    """

    def __init__(
        self,
        hosts: Sequence[str] = DEFAULT_HOSTS,
        timeouts: Timeouts | None = None,
        *,
        clock: Callable[[], float] = time.time,  # a monotonic clock may stop in a frozen function
    ) -> None:
        if not hosts:
            raise InvalidInputError("hosts", "must name at least one host")
        self._hosts = tuple(_check_origin(host) for host in hosts)
        self._timeouts = timeouts or Timeouts()
        self._clock = clock
        self._preferred = self._hosts[0]
        self._preferred_since = clock()

    def open(self) -> None:
        """Make the session now, so that the first call need not."""
        _ = self._session

    @cached_property
    def _session(self) -> requests.Session:
        from wechat_kf.wechat.session import new_session  # noqa: PLC0415 - slow to import

        return new_session()

    def send(self, call: Call) -> HttpReply:
        """Make one call and return the reply whatever its HTTP status.

        Raises `TransportError` when no complete reply came, `MalformedReplyError` when the
        reply is larger than `MAX_REPLY_BYTES`.
        """
        for host in self._hosts_in_order():
            outcome = self._attempt(host, call)
            if isinstance(outcome, HttpReply):
                return outcome
            failure = outcome
            if failure.sent == "perhaps":
                break
        # Raised here, outside any `except` block, so that the exception of the HTTP library,
        # which holds the URL with the access token, is not even its context.
        raise failure

    def close(self) -> None:
        if "_session" in vars(self):
            self._session.close()

    def _attempt(self, host: str, call: Call) -> HttpReply | TransportError:
        body = _body_arguments(call)
        try:
            with self._session.request(
                call.operation.method,
                host + call.operation.path,
                params=call.query,
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
                stream=True,
                **body,
            ) as response:
                self._prefer(host)
                return HttpReply(response.status_code, self._read(response, call.operation))
        except (OSError, HTTPError) as error:  # requests' exceptions are OSErrors
            from wechat_kf.wechat.session import never_connected  # noqa: PLC0415 - loaded by now

            return TransportError(
                call.operation,
                sent="never" if never_connected(error) else "perhaps",
                reason=type(error).__name__,
            )

    def _read(self, response: requests.Response, operation: Operation) -> bytes:
        deadline = self._clock() + self._timeouts.reply
        content = bytearray()
        # read1 returns what one receive brought: a server that trickles cannot outlast us.
        # Not asked for, a proxy may compress all the same.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > MAX_REPLY_BYTES:
                raise MalformedReplyError(operation, "too large", http_status=response.status_code)
            if self._clock() > deadline:
                raise TransportError(operation, sent="perhaps", reason="SlowReply")
        return bytes(content)

    def _hosts_in_order(self) -> Iterator[str]:
        """Start with the host that answered last, and give the first one a new try each minute."""
        if self._clock() - self._preferred_since > _DETOUR_SECONDS:
            self._preferred = self._hosts[0]
        first = self._preferred
        yield first
        yield from (host for host in self._hosts if host != first)

    def _prefer(self, host: str) -> None:
        if host != self._preferred:
            self._preferred, self._preferred_since = host, self._clock()


def _body_arguments(call: Call) -> dict[str, Any]:
    if call.upload is not None:
        upload = call.upload
        part = (upload.file_name, upload.content, upload.content_type)
        return {"files": {upload.field_name: part}}
    if call.document is not None:
        return {
            "data": encode_json(call.document),
            "headers": {"Content-Type": "application/json; charset=utf-8"},
        }
    return {}


def _check_origin(host: str) -> str:
    rule = "must be origins such as https://api.weixin.qq.com (http for loopback only)"
    try:
        parts = urlsplit(host)
        named = parts.hostname
        extra = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        allowed = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(named or ""))
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise InvalidInputError("hosts", rule) from None
    if not named or extra or not allowed:
        raise InvalidInputError("hosts", rule)
    return f"{parts.scheme}://{f'[{named}]' if ':' in named else named}{port}"


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
