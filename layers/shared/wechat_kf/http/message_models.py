"""Request and response bodies of the messages routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from wechat_kf.channel.outbound import wechat_message
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.conversation import Window
from wechat_kf.domain.outbound import Guarantee, OutboundMessage, SendRequest, failure_document
from wechat_kf.wechat.errors import InvalidInputError

Openid = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_@.-]{1,128}$"),
    Field(description="the buyer's OpenID under this Mini Program", examples=["oXyz_1234567890"]),
]
MediaId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$"),
    Field(description="as answered by `POST /media`, at most 3 days old"),
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ai_generated: StrictBool = Field(False, description="adds WeChat's note that AI wrote this")

    @model_validator(mode="after")
    def _obeys_wechat(self) -> _Content:
        try:
            wechat_message(self.model_dump(exclude_none=True))
        except InvalidInputError as error:
            raise ValueError(f"{_OUR_NAMES.get(error.field, error.field)} {error.rule}") from None
        return self


_OUR_NAMES = {"content": "text", "head_content": "head", "tail_content": "tail", "item_id": "id"}


class TextContent(_Content):
    """Plain text of 1 to 2048 bytes of UTF-8; `<a href=…>` in it becomes a link."""

    type: Literal["text"]
    text: str = Field(max_length=2048, examples=["您好，请问有什么可以帮您？"])


class ImageContent(_Content):
    """An image uploaded in the last 3 days."""

    type: Literal["image"]
    media_id: MediaId


class LinkContent(_Content):
    """A card that opens a web page."""

    type: Literal["link"]
    title: Line
    description: Line
    url: Line
    thumb_url: Line


class MiniProgramPageContent(_Content):
    """A card that opens a page of the Mini Program."""

    type: Literal["mini_program_page"]
    title: Line
    page_path: Line = Field(
        description="as in app.json, a query allowed", examples=["pages/item/item?id=1"]
    )
    thumb_media_id: MediaId
    app_id: str | None = Field(None, description="left out: this Mini Program")


class MenuChoice(BaseModel):
    """One choice of a menu; `id` comes back when the buyer taps it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    content: Line


class MenuContent(_Content):
    """A text with choices. Needs the stack's `AllowMenuMessages`: WeChat documents it for Official
    Accounts, and not for Mini Programs."""

    type: Literal["menu"]
    head: str = Field("", max_length=1024)
    items: list[MenuChoice] = Field(min_length=1, max_length=20)
    tail: str = Field("", max_length=1024)


Content = Annotated[
    TextContent | ImageContent | LinkContent | MiniProgramPageContent | MenuContent,
    Field(discriminator="type"),
]
Delivery = Annotated[
    Guarantee,
    Field(description="what you prefer when an attempt's outcome is unknown: a gap or a duplicate"),
]


class SendMessageRequest(BaseModel):
    """One message to one buyer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "openid": "oXyz_1234567890",
                    "message": {"type": "text", "text": "您好，请问有什么可以帮您？"},
                }
            ]
        },
    )

    openid: Openid
    message: Content
    delivery: Delivery = Guarantee.AT_MOST_ONCE

    def to_domain(self, business_id: str, idempotency_key: str | None) -> SendRequest:
        return SendRequest(
            business_id=business_id,
            openid=self.openid,
            content=content_of(self.message),
            guarantee=self.delivery,
            idempotency_key=idempotency_key,
        )


def content_of(message: _Content) -> dict[str, Any]:
    """The content as it is stored: what was not given is not there."""
    return message.model_dump(exclude_defaults=True)


class WindowResponse(BaseModel):
    """What WeChat's send window still allows, by our own count: advice, WeChat decides."""

    open: bool
    until: str | None = Field(description="UTC; null when closed")
    remaining: int = Field(description="messages left")

    @classmethod
    def of(cls, window: Window) -> WindowResponse:
        return cls(
            open=window.open,
            until=rfc3339(window.until) if window.until else None,
            remaining=window.remaining,
        )


class MessageResponse(BaseModel):
    """Where a message stands."""

    message_id: str
    business_id: str
    openid: str
    status: str = Field(description="accepted, queued, sending, sent, failed or unknown")
    delivery: str
    attempts: int
    accepted_at: str
    settled_at: str | None
    error: dict[str, Any] | None = Field(
        description="why it was not, or may not have been, sent at the last attempt: code, detail, "
        "and WeChat's errcode and rid"
    )
    broadcast_id: str | None = Field(None, description="the broadcast it is part of")
    window: WindowResponse | None = None

    @classmethod
    def of(cls, message: OutboundMessage, window: Window | None = None) -> MessageResponse:
        return cls(
            message_id=message.message_id,
            business_id=message.business_id,
            openid=message.openid,
            status=message.status,
            delivery=message.guarantee,
            attempts=message.attempts,
            accepted_at=rfc3339(message.accepted_at),
            settled_at=rfc3339(message.settled_at) if message.settled_at else None,
            error=failure_document(message.failure) if message.failure else None,
            broadcast_id=message.broadcast_id,
            window=WindowResponse.of(window) if window else None,
        )
