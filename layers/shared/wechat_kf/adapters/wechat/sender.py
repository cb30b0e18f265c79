"""Send a message through WeChat, and translate its answer into an outcome."""

from __future__ import annotations

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Unknown,
    Wait,
)
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.content import message_from
from wechat_kf.wechat.errors import (
    MalformedReplyError,
    Retry,
    TransportError,
    WeChatApiError,
    WeChatError,
)

_UNDOCUMENTED = 4  # seen once, during an incident: the message may or may not have been sent

_WAITS = {
    Retry.BACKOFF: Wait.RISKY,  # busy: "the duplicate risk is low, yet not none"
    Retry.AFTER_TOKEN: Wait.TOKEN,
    Retry.NEXT_MINUTE: Wait.NEXT_MINUTE,
    Retry.NEXT_DAY: Wait.QUOTA,
}


class WeChatSender:
    """Implements `MessageSender` with WeChat's API."""

    def __init__(self, client: WeChatClient) -> None:
        self._client = client

    def send(self, message: OutboundMessage) -> Outcome:
        """Attempt one send (outcomes: docs/wechat-api.md, sections 4.2 and 14)."""
        try:
            self._client.send(
                message.openid,
                message_from(message.content),
                business_id=message.business_id,
                ai_generated=bool(message.content.get("ai_generated", False)),
            )
        except UnavailableError as error:
            return NotSent(Failure(error.code, error.detail), Wait.SHORT)
        except WeChatError as error:
            return _outcome(error)
        return Sent()


def _outcome(error: WeChatError) -> Outcome:
    match error:
        case WeChatApiError(errcode=errcode):
            failure = Failure(error.code, error.meaning, errcode, error.rid)
            if errcode == _UNDOCUMENTED:
                return Unknown(failure)
            return NotSent(failure, _WAITS.get(error.retry))
        case TransportError(sent="never"):
            return NotSent(Failure(error.code, str(error)), Wait.SHORT)
        case MalformedReplyError(sent="never"):
            return NotSent(Failure(error.code, str(error)))
        case TransportError() | MalformedReplyError():
            return Unknown(Failure(error.code, str(error)))
        case _:
            return NotSent(Failure(error.code, str(error)))
