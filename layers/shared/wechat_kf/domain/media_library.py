"""Images on their way to buyers: uploaded once, and reused for as long as WeChat keeps them.

A media id lives three days and may be reused meanwhile (docs/wechat-api.md, section 10).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from wechat_kf.domain.clock import HOUR, Clock

REUSE_MARGIN_MS = 12 * HOUR
"""A media id is not returned again in its last hours: it is used some time after it was asked
for, and a message may wait in the queue for up to 12 hours if the stack is set so."""


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """An image at WeChat, usable until `expires_at` (epoch milliseconds)."""

    media_id: str
    expires_at: int


class MediaCache(Protocol):
    """Which contents are at WeChat already."""

    def get(self, digest: str) -> StoredMedia | None:
        """Return what was last stored under a content's digest, if it was not forgotten."""

    def put(self, digest: str, media: StoredMedia) -> None:
        """Remember it until it expires; the last one counts."""

    def forget(self, media_id: str, until: int) -> None:
        """Return this media id for no content any more, until it would have expired."""


class MediaUploader(Protocol):
    """Uploads to WeChat's temporary media."""

    def upload(self, image: bytes) -> StoredMedia: ...


@dataclass(frozen=True, slots=True)
class MediaLibrary:
    """Uploads each image once, by its content."""

    cache: MediaCache
    uploader: MediaUploader
    clock: Clock

    def upload(self, image: bytes, *, fresh: bool = False) -> tuple[StoredMedia, bool]:
        """Return the media of an image, and whether it was uploaded; always if `fresh`."""
        digest = hashlib.sha256(image).hexdigest()
        known = None if fresh else self.cache.get(digest)
        if known and self.clock() < known.expires_at - REUSE_MARGIN_MS:
            return known, False
        media = self.uploader.upload(image)
        self.cache.put(digest, media)
        return media, True
