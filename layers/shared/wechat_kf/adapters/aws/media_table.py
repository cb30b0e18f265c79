"""The media ids of uploaded images: items of the messages table with a time to live."""

from __future__ import annotations

from typing import Any

from wechat_kf.adapters.aws.dynamo import Table
from wechat_kf.domain.media import StoredMedia


class MediaTable:
    """Implements `MediaCache`. A media id belongs to one app: another app never finds it."""

    def __init__(self, client: Any, table_name: str, app_id: str) -> None:
        self._table = Table(client, table_name)
        self._app_id = app_id

    def get(self, digest: str) -> StoredMedia | None:
        """Return what was last stored under a content's digest."""
        row = self._table.get(self._key(digest))
        return StoredMedia(row["media_id"], row["media_expires_at"]) if row else None

    def put(self, digest: str, media: StoredMedia) -> None:
        """Remember it until it expires; the last one counts."""
        self._table.put(
            {
                **self._key(digest),
                "media_id": media.media_id,
                "media_expires_at": media.expires_at,
                "x": media.expires_at // 1000,
            }
        )

    def _key(self, digest: str) -> dict[str, str]:
        return {"c": f"media#{self._app_id}#{digest}", "s": "-"}  # no business id is `media`
