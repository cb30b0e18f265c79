"""The media ids of uploaded images: items of the messages table with a time to live."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from wechat_kf.adapters.aws.dynamo import ConditionFailedError, Table
from wechat_kf.domain.media_library import StoredMedia

_FORGOTTEN: Final = "forgotten#"
"""Before a media id; a content's digest is hexadecimal."""


class MediaTable:
    """Implements `MediaCache`. A media id belongs to one app: another app never finds it."""

    def __init__(self, client: Any, table_name: str, app_id: str) -> None:
        self._table = Table(client, table_name)
        self._app_id = app_id

    def get(self, digest: str) -> StoredMedia | None:
        row = self._table.get(self._key(digest))
        if row is None or self._table.get(self._key(_FORGOTTEN + row["media_id"])):
            return None
        return StoredMedia(row["media_id"], row["media_expires_at"])

    def put(self, digest: str, media: StoredMedia) -> None:
        self._table.put(
            {
                **self._key(digest),
                "media_id": media.media_id,
                "media_expires_at": media.expires_at,
                "x": media.expires_at // 1000,
            }
        )

    def forget(self, media_id: str, until: int) -> None:
        with suppress(ConditionFailedError):  # it is forgotten already
            self._table.update(
                self._key(_FORGOTTEN + media_id),
                "SET #x = :x",
                {":x": until // 1000},
                condition="attribute_not_exists(#x)",
            )

    def _key(self, digest: str) -> dict[str, str]:
        return {"c": f"media#{self._app_id}#{digest}", "s": "-"}  # no business id is `media`
