"""Routes of /media: images belong to the Mini Program, not to one merchant."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent

from wechat_kf.api.dependencies import Account, needs
from wechat_kf.api.media_models import (
    MAX_DOWNLOAD_BYTES,
    MediaResponse,
    TooLargeError,
    TooLargeToRelayError,
)
from wechat_kf.api.responses import BYTES, answer, describe_responses
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.media_library import MediaLibrary
from wechat_kf.wechat.media import MAX_IMAGE_BYTES

MediaIdInPath = Annotated[
    str,
    Path(
        pattern=r"^[A-Za-z0-9_-]{1,256}$",
        description="WeChat's media id, from an upload or from an event",
    ),
]
CacheControl = Annotated[
    str | None,
    Header(
        alias="Cache-Control",
        max_length=255,
        description="`no-cache`: upload the image even if it was before, for WeChat may have "
        "dropped it (40007)",
    ),
]
_MIB = 1024 * 1024
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "the image itself: PNG, JPEG or GIF, "
        f"at most {MAX_IMAGE_BYTES // _MIB} MiB; `image/png` and the like do as well",
        "content": {"application/octet-stream": BYTES},
    }
}

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.post(
    "/media",
    summary="Upload an image",
    operation_id="uploadMedia",
    tags=["media"],
    responses=describe_responses(
        {
            201: ("uploaded", MediaResponse),
            200: ("the same image was uploaded before; its media id is valid", MediaResponse),
        },
        problems=(InvalidRequestError, TooLargeError),
        asks_wechat=True,
    ),
    openapi_extensions=_IMAGE_BODY,
)
def upload_media(
    library: Annotated[MediaLibrary, needs(MediaLibrary)],
    cache_control: CacheControl = None,
) -> Response[MediaResponse]:
    """Store an image at WeChat; the same one again returns the same media id while it is valid."""
    image = _read_image(router.current_event)
    if len(image) > MAX_IMAGE_BYTES:
        raise TooLargeError(f"an image may have at most {MAX_IMAGE_BYTES} bytes")
    fresh = "no-cache" in (cache_control or "").lower()
    media, new = library.upload(image, fresh=fresh)
    return answer(201 if new else 200, MediaResponse.of(media), f"/media/{media.media_id}")


@router.get(
    "/media/<media_id>",
    summary="Download an image",
    operation_id="downloadMedia",
    tags=["media"],
    responses=describe_responses(
        {
            200: (
                "the image's bytes, with its own content type; "
                f"at most {MAX_DOWNLOAD_BYTES // _MIB} MiB",
                "image/*",
            )
        },
        problems=(InvalidRequestError, TooLargeToRelayError),
        asks_wechat=True,
    ),
)
def download_media(  # type: ignore[no-untyped-def]
    media_id: MediaIdInPath, account: Annotated[Account, needs(Account)]
):
    """Return a buyer's picture, or an uploaded one, of the last 3 days."""
    picture = account.download(media_id)
    if len(picture.content) > MAX_DOWNLOAD_BYTES:
        raise TooLargeToRelayError(
            f"the picture has more than {MAX_DOWNLOAD_BYTES} bytes, the most that API Gateway can"
            " carry; it can still be fetched from WeChat directly"
        )
    return Response(
        status_code=200,
        content_type=picture.content_type,
        body=picture.content,
        headers={"Cache-Control": "private, max-age=86400"},
    )


def _read_image(event: BaseProxyEvent) -> bytes:
    """Return the body's bytes: API Gateway passes bodies of binary types on as base64."""
    body = event.body or ""
    if not event.is_base64_encoded:
        # The request claimed a text type: the bytes of an image have not survived that.
        raise InvalidRequestError(
            "Content-Type", "must be image/png, image/jpeg, image/gif or application/octet-stream"
        )
    try:
        return base64.b64decode(body)
    except binascii.Error:
        raise InvalidRequestError("body", "must be the image itself") from None
