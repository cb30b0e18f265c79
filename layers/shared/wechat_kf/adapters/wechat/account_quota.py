"""WeChat's quotas of the calls this stack makes."""

from __future__ import annotations

from collections.abc import Mapping

from wechat_kf.domain.quota import ApiQuota
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import WeChatApiError


def watched_paths(send_path: str) -> Mapping[str, str]:
    """The APIs worth watching: our name of each, and its path at WeChat."""
    return {
        "send": send_path,
        "send_as_main_account": operations.SEND.path,
        "typing": operations.TYPING.path,
        "media_upload": operations.UPLOAD.path,
        "media_download": operations.DOWNLOAD.path,
        "merchant_register": operations.REGISTER.path,
        "merchant_list": operations.LIST.path,
    }


class WeChatQuota:
    """Implements `QuotaReader`."""

    def __init__(self, client: WeChatClient, send_path: str) -> None:
        self._client = client
        self._paths = watched_paths(send_path)

    def quotas(self) -> list[ApiQuota]:
        """One call each. What WeChat refuses for one path is told with it; other errors pass."""
        return [self._quota(api, path) for api, path in self._paths.items()]

    def _quota(self, api: str, path: str) -> ApiQuota:
        try:
            quota = self._client.quota(path)
        except WeChatApiError as error:
            return ApiQuota(api, path, error=error.code)
        limit = quota.rate_limit
        return ApiQuota(
            api,
            path,
            daily_limit=quota.daily_limit,
            used=quota.used,
            remaining=quota.remain,
            per_period=limit.call_count if limit else None,
            period_seconds=limit.refresh_second if limit else None,
        )
