"""The media ids of uploaded images: items of the messages table with a time to live."""

from __future__ import annotations

from typing import Any

from wechat_kf.adapters.aws.dynamo import Table
from wechat_kf.domain.media import StoredMedia


class MediaTable:
    """Implements `MediaCache` in the messages table (key `id`)."""

    def __init__(self, client: Any, table_name: str) -> None:
        self._table = Table(client, table_name)

    def get(self, digest: str) -> StoredMedia | None:
        """What was last stored under a content's digest."""
        row = self._table.get({"id": _item_id(digest)})
        return StoredMedia(row["media_id"], row["media_expires_at"]) if row else None

    def put(self, digest: str, media: StoredMedia) -> None:
        """Remember it until it expires; the last one counts."""
        self._table.put(
            {
                "id": _item_id(digest),
                "media_id": media.media_id,
                "media_expires_at": media.expires_at,
                "expires_at_seconds": media.expires_at // 1000,
            }
        )


def _item_id(digest: str) -> str:
    return f"media#{digest}"  # a message's id begins with digits
