"""Temporary media: what can be uploaded, and how long it lives (docs/wechat-api.md, section 10)."""

import string
from dataclasses import dataclass, field
from random import Random
from typing import Final

from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.settings import Settings

KINDS: Final = ("image", "voice", "video", "thumb")
_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_LETTERS: Final = string.ascii_letters + string.digits + "-_"


@dataclass(frozen=True, slots=True)
class Media:
    """One file, uploaded by the server or sent by a buyer."""

    media_id: str
    kind: str
    content: bytes = field(repr=False)
    content_type: str
    created_at: float


class MediaStore:
    """All temporary media of the Mini Program."""

    def __init__(self, settings: Settings, clock: Clock, random: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._all: dict[str, Media] = {}

    def add(self, kind: str, content: bytes) -> Media:
        """Store a file. Raises Refused for a wrong type, format or size."""
        if kind not in KINDS:
            raise Refused(40004)
        if not content:
            raise Refused(40006)
        media = Media(
            media_id="".join(self._random.choices(_LETTERS, k=64)),
            kind=kind,
            content=content,
            content_type=self._content_type(kind, content),
            created_at=self._clock.now(),
        )
        self._all[media.media_id] = media
        return media

    def find(self, media_id: str) -> Media:
        """A file that has not expired. Raises Refused."""
        media = self._all.get(media_id)
        if media is None or self._clock.now() >= media.created_at + (
            self._settings.media_life_seconds
        ):
            raise Refused(40007)
        return media

    def image(self, media_id: str) -> Media:
        """A file that has not expired and is an image. Raises Refused."""
        media = self.find(media_id)
        if media.kind != "image":
            raise Refused(40004)
        return media

    def picture(self, media_id: str) -> Media | None:
        """A file by its link: links have no documented life, so this one never ends."""
        return self._all.get(media_id)

    def reset(self) -> None:
        self._all.clear()

    def _content_type(self, kind: str, content: bytes) -> str:
        if kind != "image":
            return "application/octet-stream"
        found = next((name for start, name in _SIGNATURES if content.startswith(start)), None)
        if found is None:
            raise Refused(40137)
        if len(content) > self._settings.max_image_bytes:
            raise Refused(40009)
        return found
