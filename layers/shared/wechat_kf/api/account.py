"""What the routes need of the Mini Program's account at WeChat."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from wechat_kf.wechat.client import TypingResult
from wechat_kf.wechat.diagnostics import Quota
from wechat_kf.wechat.errors import WeChatApiError
from wechat_kf.wechat.media import DownloadedMedia


class Account(Protocol):
    """The account. WeChat's refusals pass through."""

    def download(self, media_id: str) -> DownloadedMedia: ...

    def show_typing(self, business_id: str, openid: str, *, shown: bool) -> TypingResult:
        """Show the buyer that somebody is typing, or stop it."""

    def quotas(self) -> Iterable[tuple[str, str, Quota | WeChatApiError]]:
        """Return each API's name, its path, and its quota or WeChat's refusal."""
