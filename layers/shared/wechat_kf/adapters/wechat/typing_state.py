"""WeChat's typing state."""

from __future__ import annotations

from wechat_kf.wechat.client import TypingCommand, WeChatClient


class WeChatTyping:
    """Shows the buyer that somebody is typing, or stops it. WeChat's refusals pass through."""

    def __init__(self, client: WeChatClient) -> None:
        self._client = client

    def __call__(self, business_id: str, openid: str, shown: bool) -> str:
        """`shown`, `already` (shown before) or `ignored` (no exchange in the last 30 s)."""
        command = TypingCommand.TYPING if shown else TypingCommand.CANCEL
        return str(self._client.typing(openid, command, business_id=business_id))
