"""Response body of the quota route."""

from __future__ import annotations

from pydantic import BaseModel, Field

from wechat_kf.api.validators import example
from wechat_kf.wechat.diagnostics import Quota
from wechat_kf.wechat.errors import WeChatApiError


class ApiQuotaResponse(BaseModel):
    """The quota of one of WeChat's APIs today."""

    api: str = Field(
        description="the API: send, send_as_main_account, typing, media_upload, media_download, "
        "merchant_register or merchant_list"
    )
    path: str = Field(description="its path at WeChat")
    daily_limit: int | None = Field(description="calls allowed today")
    used: int | None
    remaining: int | None
    per_period: int | None = Field(description="calls allowed in `period_seconds`, if limited so")
    period_seconds: int | None
    error: str | None = Field(description="the code of WeChat's refusal, if WeChat refused to say")

    @classmethod
    def of(cls, api: str, path: str, quota: Quota | WeChatApiError) -> ApiQuotaResponse:
        known = None if isinstance(quota, WeChatApiError) else quota
        limit = known.rate_limit if known else None
        return cls(
            api=api,
            path=path,
            daily_limit=known.daily_limit if known else None,
            used=known.used if known else None,
            remaining=known.remain if known else None,
            per_period=limit.call_count if limit else None,
            period_seconds=limit.refresh_second if limit else None,
            error=quota.code if isinstance(quota, WeChatApiError) else None,
        )


class QuotaResponse(BaseModel):
    """The quotas of the APIs this stack calls."""

    model_config = example(
        items=[
            {
                "api": "send",
                "path": "/cgi-bin/business/message/custom/send",
                "daily_limit": 500000,
                "used": 1234,
                "remaining": 498766,
                "per_period": None,
                "period_seconds": None,
                "error": None,
            }
        ],
    )

    items: list[ApiQuotaResponse]
