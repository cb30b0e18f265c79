"""Access tokens: the calls that take the AppSecret, and where the client gets its token from.

Keeping, sharing and renewing a token is not done here; a `TokenSource` does it.
Source: docs/wechat-api.md, section 9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from wechat_kf.wechat import operations, replies
from wechat_kf.wechat.transport import Call, Transport


class TokenSource(Protocol):
    """Where `WeChatClient` gets the access token for its calls."""

    def current(self) -> str:
        """Return the token to use now."""
        ...

    def refused(self, token: str) -> str:
        """Return a replacement for `token`, which WeChat has refused.

        Called at most once per call of the client. Returning the same token means that it is good
        for other calls, or that there is no other: the client then reports the refusal as final.
        """
        ...


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh access token (up to 512 characters and more) and its life in seconds."""

    access_token: str = field(repr=False)
    expires_in: int


def stable_token(
    transport: Transport, *, app_id: str, app_secret: str, force_refresh: bool = False
) -> IssuedToken:
    """Return the account's stable token, the same one until the last 5 minutes of its life.

    `force_refresh` invalidates the previous token at once; WeChat allows it 20 times a day, at
    least 30 s apart, and means it for leaked tokens only.
    Raises `WeChatApiError` (a refused secret or address, a limit), `TransportError`,
    `MalformedReplyError`.
    """
    operation = operations.FORCED_STABLE_TOKEN if force_refresh else operations.STABLE_TOKEN
    document = {
        "grant_type": "client_credential",
        "appid": app_id,
        "secret": app_secret,
        "force_refresh": force_refresh,
    }
    answer = replies.require_success(transport.send(Call(operation, document=document)), operation)
    return IssuedToken(
        access_token=replies.require_text(answer, "access_token", operation),
        expires_in=replies.require_integer(answer, "expires_in", operation),
    )
