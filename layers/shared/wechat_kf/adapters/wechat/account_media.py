"""WeChat's temporary media, as the media library needs it."""

from __future__ import annotations

from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.media import Picture, StoredMedia
from wechat_kf.wechat.client import WeChatClient


class WeChatMedia:
    """Implements `MediaChannel`. WeChat's refusals pass through."""

    def __init__(self, client: WeChatClient) -> None:
        self._client = client

    def upload(self, image: bytes) -> StoredMedia:
        uploaded = self._client.upload_image(image)
        return StoredMedia(uploaded.media_id, uploaded.expires_at * SECOND)

    def download(self, media_id: str) -> Picture:
        downloaded = self._client.download(media_id)
        return Picture(downloaded.content, downloaded.content_type)
