"""A media id that WeChat refuses is not handed out again."""

from __future__ import annotations

from dataclasses import dataclass

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import DAY, Clock
from wechat_kf.domain.media_library import MediaCache
from wechat_kf.domain.messages.message import NotSent, OutboundMessage, Outcome
from wechat_kf.domain.messages.ports import MessageSender
from wechat_kf.observability import logger

LIFE_MS = 3 * DAY
"""No media id is valid for longer (docs/wechat-api.md, section 10)."""


@dataclass(frozen=True, slots=True)
class DeadMediaSender:
    """A `MessageSender` that makes the cache forget what WeChat no longer has (40007)."""

    sender: MessageSender
    cache: MediaCache
    clock: Clock

    def send(self, message: OutboundMessage) -> Outcome:
        outcome = self.sender.send(message)
        if isinstance(outcome, NotSent) and outcome.failure.code == "media_id_not_valid":
            content = message.content
            self._forget(str(content.get("media_id") or content.get("thumb_media_id") or ""))
        return outcome

    def _forget(self, media_id: str) -> None:
        try:
            self.cache.forget(media_id, until=self.clock() + LIFE_MS)
        except UnavailableError:  # the message's outcome must be recorded all the same
            logger.warning("invalid media id not forgotten")
