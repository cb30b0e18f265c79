"""Calls that carry an access token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from wechat_kf.wechat import replies
from wechat_kf.wechat.errors import Retry, TokenRefusedError
from wechat_kf.wechat.tokens import TokenSource
from wechat_kf.wechat.transport import Call, HttpReply, Transport

Answer = TypeVar("Answer")


class Caller:
    """Adds the access token to a call, and replaces a refused one once.

    A refused token means that the call had no effect, so the second try is safe for a send too.
    When there is nothing wrong with the token, there is with the call: the refusal is final.
    """

    def __init__(self, transport: Transport, tokens: TokenSource) -> None:
        self._transport = transport
        self._tokens = tokens

    def json(self, call: Call) -> dict[str, Any]:
        """Make a call that answers JSON; raises what `replies.require_success` raises."""
        return self.read(call, lambda reply: replies.require_success(reply, call.operation))

    def read(self, call: Call, reader: Callable[[HttpReply], Answer]) -> Answer:
        """Make a call and read its reply; `reader` raises `TokenRefusedError` where due."""
        token = self._tokens.current()
        try:
            return reader(self._transport.send(call.with_token(token)))
        except TokenRefusedError as error:
            refusal = error
        replacement = self._tokens.refused(token)
        if replacement == token:
            refusal.retry = Retry.NEVER
            raise refusal
        return reader(self._transport.send(call.with_token(replacement)))
