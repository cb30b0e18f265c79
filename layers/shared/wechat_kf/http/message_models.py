"""Request and response bodies of the messages routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

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
MediaId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ai_generated: bool = Field(False, description="adds WeChat's note that AI wrote this")

    @model_validator(mode="after")
    def _obeys_wechat(self) -> _Content:
        try:
            wechat_message(self.model_dump(exclude_none=True))
        except InvalidInputError as error:
            raise ValueError(f"{error.field} {error.rule}") from None
        return self


class TextContent(_Content):
    """Plain text of 1 to 2048 bytes of UTF-8."""

    type: Literal["text"]
    text: str = Field(examples=["您好，请问有什么可以帮您？"])


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
    page_path: Line
    thumb_media_id: MediaId
    app_id: str | None = None


Content = Annotated[
    TextContent | ImageContent | LinkContent | MiniProgramPageContent, Field(discriminator="type")
]


class SendMessageRequest(BaseModel):
    """One message to one buyer."""

    model_config = ConfigDict(extra="forbid")

    openid: Openid
    message: Content
    delivery: Guarantee = Field(
        Guarantee.AT_MOST_ONCE,
        description="what you prefer when an attempt's outcome is unknown: a gap or a duplicate",
    )

    def to_domain(self, business_id: str, idempotency_key: str | None) -> SendRequest:
        return SendRequest(
            business_id=business_id,
            openid=self.openid,
            content=self.message.model_dump(exclude_none=True, exclude_defaults=False),
            guarantee=self.delivery,
            idempotency_key=idempotency_key,
        )


class WindowResponse(BaseModel):
    """What WeChat's send window still allows, by our own count: advice, WeChat decides."""

    open: bool
    until: str | None
    remaining: int

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
    error: dict[str, Any] | None = Field(description="code, detail, and WeChat's errcode and rid")
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
            window=WindowResponse.of(window) if window else None,
        )
