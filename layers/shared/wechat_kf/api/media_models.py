"""Response bodies of the media and quota routes."""

from __future__ import annotations

from pydantic import BaseModel, Field

from wechat_kf.adapters.wechat.account_quota import watched_paths
from wechat_kf.api.validators import Instant
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.media import StoredMedia
from wechat_kf.domain.quota import ApiQuota


class MediaResponse(BaseModel):
    """An image at WeChat."""

    media_id: str
    expires_at: Instant = Field(description="three days after its upload")

    @classmethod
    def of(cls, media: StoredMedia) -> MediaResponse:
        return cls(media_id=media.media_id, expires_at=rfc3339(media.expires_at))


class ApiQuotaResponse(BaseModel):
    """What WeChat says of one of its APIs today."""

    api: str = Field(description="our name of it: " + ", ".join(watched_paths("")))
    path: str = Field(description="WeChat's path of it")
    daily_limit: int | None = Field(description="calls allowed today")
    used: int | None
    remaining: int | None
    per_period: int | None = Field(description="calls allowed in `period_seconds`, if limited so")
    period_seconds: int | None
    error: str | None = Field(
        description="why WeChat does not tell, if it does not: the code of a refusal of WeChat's"
    )

    @classmethod
    def of(cls, quota: ApiQuota) -> ApiQuotaResponse:
        return cls(
            api=quota.api,
            path=quota.path,
            daily_limit=quota.daily_limit,
            used=quota.used,
            remaining=quota.remaining,
            per_period=quota.per_period,
            period_seconds=quota.period_seconds,
            error=quota.error,
        )


class QuotaResponse(BaseModel):
    """The quotas of the APIs this stack calls."""

    items: list[ApiQuotaResponse]
