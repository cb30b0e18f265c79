"""What belongs to the Mini Program's account: its media, its quotas, the typing state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.media_library import StoredMedia
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import TypingCommand, TypingResult, WeChatClient
from wechat_kf.wechat.diagnostics import Quota
from wechat_kf.wechat.errors import WeChatApiError
from wechat_kf.wechat.media import DownloadedMedia

WATCHED_PATHS = {
    "send_as_main_account": operations.SEND.path,
    "typing": operations.TYPING.path,
    "media_upload": operations.UPLOAD.path,
    "media_download": operations.DOWNLOAD.path,
    "merchant_register": operations.REGISTER.path,
    "merchant_list": operations.LIST.path,
}
"""The APIs whose quotas matter: our name of each, and its path at WeChat."""


class WeChatAccount:
    """Implements `Account` and `MediaUploader`. `send_path` is where messages are sent to."""

    def __init__(self, client: WeChatClient, send_path: str = operations.SEND.path) -> None:
        self._client = client
        self._paths = {"send": send_path, **WATCHED_PATHS}

    def upload(self, image: bytes) -> StoredMedia:
        uploaded = self._client.upload_image(image)
        return StoredMedia(uploaded.media_id, uploaded.expires_at * SECOND)

    def download(self, media_id: str) -> DownloadedMedia:
        return self._client.download(media_id)

    def quotas(self) -> list[tuple[str, str, Quota | WeChatApiError]]:
        # Side by side: one after the other, slow answers would take longer than a request may.
        with ThreadPoolExecutor(max_workers=len(self._paths)) as workers:
            found = workers.map(self._quota, self._paths.values())
            return list(zip(self._paths, self._paths.values(), found, strict=True))

    def _quota(self, path: str) -> Quota | WeChatApiError:
        try:
            return self._client.quota(path)
        except WeChatApiError as error:
            return error

    def show_typing(self, business_id: str, openid: str, *, shown: bool) -> TypingResult:
        command = TypingCommand.TYPING if shown else TypingCommand.CANCEL
        return self._client.typing(openid, command, business_id=business_id)
