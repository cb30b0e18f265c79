"""Routes of /media and /quota: what belongs to the Mini Program, not to one merchant."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from aws_lambda_powertools.utilities.data_classes.common import BaseProxyEvent

from wechat_kf.api.media_models import ApiQuotaResponse, MediaResponse, QuotaResponse
from wechat_kf.api.responses import answers
from wechat_kf.domain.media import (
    MAX_DOWNLOAD_BYTES,
    MAX_UPLOAD_BYTES,
    MediaLibrary,
    TooLargeError,
    TooLargeToRelayError,
)
from wechat_kf.domain.quota import QuotaReader
from wechat_kf.errors import InvalidRequestError

MediaIdInPath = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9_-]{1,256}$", description="WeChat's: of an upload, or of an event"),
]
_MIB = 1024 * 1024
_LARGEST = f"{MAX_UPLOAD_BYTES // _MIB} MiB"

_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": f"the image itself: PNG, JPEG or GIF, {_LARGEST} at most",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("image/png", "image/jpeg", "image/gif")
        },
    }
}


@dataclass(frozen=True, slots=True)
class ChannelUseCases:
    """What the routes call."""

    media: MediaLibrary
    quota: QuotaReader


def build_router(use_cases: ChannelUseCases) -> APIGatewayHttpRouter:
    """The routes for images and quotas."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post(
        "/media",
        summary="Upload an image",
        operation_id="uploadMedia",
        tags=["media"],
        responses=answers(
            {
                201: ("uploaded", MediaResponse),
                200: (
                    "this very image was uploaded before; its media id still lives",
                    MediaResponse,
                ),
            },
            problems=(InvalidRequestError, TooLargeError),
            asks_wechat=True,
        ),
        openapi_extensions=_IMAGE_BODY,
    )
    def upload() -> Response[MediaResponse]:
        """The same image again answers with the same media id for as long as it lives."""
        media, new = use_cases.media.upload(_body(router.current_event))
        return Response(
            status_code=201 if new else 200,
            content_type="application/json",
            body=MediaResponse.of(media),
            headers={"Location": f"/media/{media.media_id}"},
        )

    @router.get(
        "/media/<media_id>",
        summary="Download an image",
        operation_id="downloadMedia",
        tags=["media"],
        responses=answers(
            {
                200: (
                    "the image's bytes, with its own content type; "
                    f"{MAX_DOWNLOAD_BYTES // _MIB} MiB at most",
                    "image/*",
                )
            },
            problems=(InvalidRequestError, TooLargeToRelayError),
            asks_wechat=True,
        ),
    )
    def download(media_id: MediaIdInPath):  # type: ignore[no-untyped-def]
        """A customer's picture (or one of ours) of the last 3 days."""
        picture = use_cases.media.download(media_id)
        return Response(
            status_code=200,
            content_type=picture.content_type,
            body=picture.content,
            headers={"Cache-Control": "private, max-age=86400"},
        )

    @router.get(
        "/quota",
        summary="Read what WeChat still allows today",
        operation_id="readQuota",
        tags=["quota"],
        responses=answers({200: ("API by API", QuotaResponse)}, asks_wechat=True),
    )
    def quota() -> QuotaResponse:
        """The daily quotas of the APIs this stack calls; it costs one call to WeChat for each."""
        return QuotaResponse(items=[ApiQuotaResponse.of(one) for one in use_cases.quota.quotas()])

    return router


def _body(event: BaseProxyEvent) -> bytes:
    """The body's bytes. A gateway hands bodies of binary types over as base64."""
    body = event.body or ""
    if not event.is_base64_encoded:
        # A text type was claimed: the bytes of an image have not survived that.
        raise InvalidRequestError("Content-Type", "must be image/png, image/jpeg or image/gif")
    try:
        return base64.b64decode(body)
    except binascii.Error:
        raise InvalidRequestError("body", "must be the image itself") from None
