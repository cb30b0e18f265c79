"""What a webhook's URL may look like."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wechat_kf.adapters.webhooks.public_addresses import is_loopback

MAX_LENGTH = 2048

# Nothing a URL parser may read in two ways: no blanks, control characters, backslashes, non-ASCII.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# The last label starts with a letter: 2130706433, 0x7f.1 and 127.1 are addresses too.
_HOST = re.compile(rf"({_LABEL}\.)+[a-z]{_LABEL}")
_INTERNAL = (".internal", ".local", ".localhost", ".localdomain", ".home.arpa")


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """A URL in parts. `path` includes the query, which may contain a secret."""

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def parse_webhook_url(text: str, *, allow_loopback: bool = False) -> WebhookUrl:
    """Parse `text`, a public https URL with a host name.

    `allow_loopback` (local stack only) also accepts http and https to loopback. The name is
    resolved and checked before every call, not here.

    Raises:
        ValueError: its text is the broken rule and does not repeat the URL.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"must be at most {MAX_LENGTH} characters long")
    if not _PLAIN.fullmatch(text):
        raise ValueError("must be plain ASCII without blanks, percent-encoded where needed")
    url = _split(text)
    if allow_loopback and (url.host == "localhost" or is_loopback(url.host)):
        return url
    if not url.secure:
        raise ValueError("must start with https://")
    if not _HOST.fullmatch(url.host) or url.host.endswith(_INTERNAL):
        raise ValueError("must have a public host name, not an address")
    return url


def _split(text: str) -> WebhookUrl:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must start with https:// and a host name")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if "#" in text:
        raise ValueError("must not hold a fragment")
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
    path = parts.path or "/"
    return WebhookUrl(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _default_port(parts.scheme),
        path=f"{path}?{parts.query}" if parts.query else path,
    )


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
