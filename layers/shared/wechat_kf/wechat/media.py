"""Temporary media: images only, which is all a Mini Program may send.

Source: docs/wechat-api.md, section 10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.wechat import operations, replies
from wechat_kf.wechat.errors import InvalidInputError, MalformedReplyError
from wechat_kf.wechat.transport import HttpReply, Upload

MAX_IMAGE_BYTES = 2 * 1024 * 1024
"""The documents say 2 MB and 10 MB on one page; the smaller is safe."""

MEDIA_LIFE_SECONDS = 3 * 24 * 60 * 60

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)


@dataclass(frozen=True, slots=True)
class UploadedMedia:
    """An uploaded image: usable by this AppID until `expires_at` (Unix time in seconds)."""

    media_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class DownloadedMedia:
    """The bytes of a media file, and a content type that was found by looking at them."""

    content: bytes = field(repr=False)
    content_type: str


def image_format(data: bytes) -> str | None:
    """Return `png`, `jpeg` or `gif` by the first bytes, `None` for anything else."""
    return next((name for start, name in _SIGNATURES if data.startswith(start)), None)


def image_upload(data: bytes, file_name: str = "") -> Upload:
    """Build the multipart part of an image.

    Raises `InvalidInputError` unless `data` is a PNG, JPEG or GIF of at most 2 MiB.
    """
    kind = image_format(data)
    if kind is None:
        raise InvalidInputError("image", "must be a PNG, JPEG or GIF by its content")
    if len(data) > MAX_IMAGE_BYTES:
        raise InvalidInputError("image", f"must be at most {MAX_IMAGE_BYTES} bytes")
    return Upload("media", _safe_file_name(file_name, kind), f"image/{kind}", data)


def read_upload(document: dict[str, Any]) -> UploadedMedia:
    created_at = replies.require_integer(document, "created_at", operations.UPLOAD)
    return UploadedMedia(
        media_id=replies.require_text(document, "media_id", operations.UPLOAD),
        expires_at=created_at + MEDIA_LIFE_SECONDS,
    )


def read_download(reply: HttpReply) -> DownloadedMedia:
    """Return the file; raise what an error says: both come with HTTP 200 and any content type."""
    operation = operations.DOWNLOAD
    replies.require_ok_status(reply, operation)
    looks_like_json = reply.body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    document = replies.read_object(reply.body) if looks_like_json else None
    if document is not None:
        replies.raise_for_errcode(document, operation)
    if document is not None or not reply.body:
        raise MalformedReplyError(operation, "no media", http_status=reply.status)
    kind = image_format(reply.body)
    return DownloadedMedia(reply.body, f"image/{kind}" if kind else "application/octet-stream")


def _safe_file_name(file_name: str, kind: str) -> str:
    """Keep what is plain ASCII of a name, and give it the extension of the content.

    For other characters HTTP libraries write `filename*=` (RFC 2231), which WeChat does not
    read: it answers 41005, media data missing (https://github.com/wechatpy/wechatpy/issues/293).
    The name has no use beyond the upload, so nothing is lost.
    """
    stem = file_name.rpartition(".")[0] or file_name
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '', stem)[:64] or 'image'}.{kind}"
