"""Images on their way to buyers: uploaded once, and used for as long as WeChat keeps them.

Source: docs/wechat-api.md, section 10 (a media id lives three days and may be reused meanwhile).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from wechat_kf.domain.clock import HOUR, Clock
from wechat_kf.errors import AppError

MAX_UPLOAD_BYTES = 2 * 1024 * 1024
"""WeChat's documents say 2 MB and 10 MB on one page; the smaller is safe."""

MAX_DOWNLOAD_BYTES = 4 * 1024 * 1024
"""A Lambda answer holds 6 MB, and bytes travel in it as base64, a third longer."""

REUSE_MARGIN_MS = 12 * HOUR
"""A media id is not handed out again in its last hours: it is used some time after it was asked
for, and a message may wait in the queue for up to 12 hours if the stack is set so."""


class TooLargeError(AppError):
    """An image that is larger than WeChat takes."""

    code = "media_too_large"
    status = 413


class TooLargeToRelayError(AppError):
    """A picture at WeChat that is larger than the gateway can carry."""

    code = "media_too_large_to_relay"
    status = 413


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """An image at WeChat, usable until `expires_at` (epoch milliseconds)."""

    media_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Picture:
    """Bytes and their media type."""

    content: bytes = field(repr=False)
    content_type: str


class MediaCache(Protocol):
    """Which contents are at WeChat already."""

    def get(self, digest: str) -> StoredMedia | None:
        """What was last stored under a content's digest."""

    def put(self, digest: str, media: StoredMedia) -> None:
        """Remember it until it expires; the last one counts."""


class MediaChannel(Protocol):
    """WeChat's temporary media."""

    def upload(self, image: bytes) -> StoredMedia: ...

    def download(self, media_id: str) -> Picture: ...


@dataclass(frozen=True, slots=True)
class MediaLibrary:
    """Uploads with a cache by content; downloads without giving the access token away."""

    cache: MediaCache
    channel: MediaChannel
    clock: Clock

    def upload(self, image: bytes) -> tuple[StoredMedia, bool]:
        """The media of an image, and whether it had to be uploaded.

        Raises:
            TooLargeError: more than 2 MiB.
            whatever the channel raises.
        """
        if len(image) > MAX_UPLOAD_BYTES:
            raise TooLargeError(f"an image may have {MAX_UPLOAD_BYTES} bytes at most")
        digest = hashlib.sha256(image).hexdigest()
        known = self.cache.get(digest)
        if known and self.clock() < known.expires_at - REUSE_MARGIN_MS:
            return known, False
        media = self.channel.upload(image)
        self.cache.put(digest, media)
        return media, True

    def download(self, media_id: str) -> Picture:
        """A customer's picture, or one of ours.

        Raises:
            TooLargeToRelayError: more than 4 MiB, which the gateway could not carry.
            whatever the channel raises.
        """
        picture = self.channel.download(media_id)
        if len(picture.content) > MAX_DOWNLOAD_BYTES:
            raise TooLargeToRelayError(
                f"the picture has more than {MAX_DOWNLOAD_BYTES} bytes, the most that the gateway"
                " can carry; it can still be fetched from WeChat directly"
            )
        return picture
