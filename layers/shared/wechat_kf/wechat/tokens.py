"""Access tokens: the calls that take the AppSecret, and where the client gets its token from.

Keeping, sharing and renewing a token is not done here; a `TokenSource` does it.
Source: docs/wechat-api.md, section 9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from wechat_kf.wechat import operations, replies
from wechat_kf.wechat.operations import Operation
from wechat_kf.wechat.transport import Call, Transport


class TokenSource(Protocol):
    """Where `WeChatClient` gets the access token for its calls."""

    def current(self) -> str:
        """Return the token to use now."""
        ...

    def refused(self, token: str) -> str:
        """Return a replacement for `token`, which WeChat has refused.

        Called at most once per call of the client. Returning the same token means that there is
        no other: the client then reports the refusal.
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
    return _issue(transport, Call(operation, document=document))


def classic_token(transport: Transport, *, app_id: str, app_secret: str) -> IssuedToken:
    """Return a new classic token; the previous classic one dies about 5 minutes later.

    Prefer `stable_token`: two callers of this one take the token away from each other.
    Raises as `stable_token` does.
    """
    query = {"grant_type": "client_credential", "appid": app_id, "secret": app_secret}
    return _issue(transport, Call(operations.CLASSIC_TOKEN, query=query))


def clear_quota_with_secret(transport: Transport, *, app_id: str, app_secret: str) -> None:
    """Reset the daily quota of every API of the account; 10 times a month.

    The way out when the quota of the token API itself is used up.
    Raises `WeChatApiError`, `TransportError`, `MalformedReplyError`.
    """
    operation = operations.CLEAR_QUOTA_WITH_SECRET
    call = Call(operation, document={"appid": app_id, "appsecret": app_secret})
    replies.require_success(transport.send(call), operation)


def _issue(transport: Transport, call: Call) -> IssuedToken:
    operation: Operation = call.operation
    document = replies.require_success(transport.send(call), operation)
    return IssuedToken(
        access_token=replies.require_text(document, "access_token", operation),
        expires_in=replies.require_integer(document, "expires_in", operation),
    )
