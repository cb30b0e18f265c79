"""Response body of the media routes, and the limits of images."""

from __future__ import annotations

from pydantic import BaseModel, Field

from wechat_kf.api.validators import Instant, example
from wechat_kf.app_errors import AppError
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.media_library import StoredMedia

MAX_DOWNLOAD_BYTES = 4 * 1024 * 1024
"""A Lambda response holds 6 MB, and bytes travel in it as base64, a third longer."""


class TooLargeError(AppError):
    """An image that is larger than WeChat accepts."""

    code = "media_too_large"
    status = 413


class TooLargeToRelayError(AppError):
    """A picture at WeChat that is larger than API Gateway can carry."""

    code = "media_too_large_to_relay"
    status = 413


class MediaResponse(BaseModel):
    """An image at WeChat."""

    model_config = example(
        media_id="bN7Vx0k2mediaid",
        expires_at="2026-01-05T03:04:05.000Z",
    )

    media_id: str
    expires_at: Instant = Field(description="three days after its upload")

    @classmethod
    def of(cls, media: StoredMedia) -> MediaResponse:
        return cls(media_id=media.media_id, expires_at=rfc3339(media.expires_at))
