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

from wechat_kf.api.field_names import rule_error
from wechat_kf.api.validators import Instant, example
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.messages.attempt import ABANDONED
from wechat_kf.domain.messages.conversations import Window
from wechat_kf.domain.messages.message import (
    EXPIRED,
    Failure,
    Guarantee,
    OutboundMessage,
    Status,
    failure_document,
)
from wechat_kf.wechat.content import message_from
from wechat_kf.wechat.errors import InvalidInputError

Openid = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_@.-]{1,128}$"),
    Field(description="the buyer's OpenID under this Mini Program", examples=["oXyz_1234567890"]),
]
MediaId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$"),
    Field(description="from `POST /media`, at most 3 days old"),
]
AppId = Annotated[
    str, StringConstraints(pattern=r"^wx[0-9a-z]{16}$"), Field(examples=["wx1234567890abcdef"])
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


MAX_CONTENT_BYTES = 65_536
"""Of JSON in UTF-8. Escaped it is up to three times as long; with the 1 000 recipients of a
broadcast, 128 characters each, it still fits into an item of a table (400 KB)."""


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ai_generated: StrictBool = Field(
        False, description="adds WeChat's note that AI wrote this message"
    )

    @model_validator(mode="after")
    def _check_wechats_rules(self) -> _Content:
        try:
            message_from(self.model_dump(exclude_none=True))
        except InvalidInputError as error:
            raise rule_error(error) from None
        if len(self.model_dump_json().encode()) > MAX_CONTENT_BYTES:
            raise ValueError(f"must be at most {MAX_CONTENT_BYTES} bytes of JSON")
        return self


class TextContent(_Content):
    """Plain text of 1 to 2048 bytes of UTF-8; `<a href=…>` in it becomes a link."""

    type: Literal["text"]
    text: str = Field(
        max_length=2048,
        examples=["您好，请问有什么可以帮您？"],
        json_schema_extra={"minLength": 1},
    )


class ImageContent(_Content):
    """An image uploaded in the last 3 days."""

    type: Literal["image"]
    media_id: MediaId


class LinkContent(_Content):
    """A card that opens a web page."""

    model_config = example(
        type="link",
        title="新品上架",
        description="今晚八点开售",
        url="https://shop.example.com/new",
        thumb_url="https://shop.example.com/new.png",
    )

    type: Literal["link"]
    title: Line
    description: Line
    url: Line
    thumb_url: Line = Field(description="the card's picture")


class MiniProgramPageContent(_Content):
    """A card that opens a page of the Mini Program."""

    model_config = example(
        type="mini_program_page",
        title="羊毛外套",
        page_path="pages/item/item?id=1",
        thumb_media_id="bN7Vx0k2mediaid",
    )

    type: Literal["mini_program_page"]
    title: Line
    page_path: Line = Field(
        description="as in app.json; may have a query", examples=["pages/item/item?id=1"]
    )
    thumb_media_id: MediaId
    app_id: AppId | None = Field(None, description="this Mini Program when left out")


class MenuChoice(BaseModel):
    """One choice of a menu; `id` comes back when the buyer taps it."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    content: Line


class MenuContent(_Content):
    """A text with choices. Needs the stack's `AllowMenuMessages`: WeChat documents menus only for
    Official Accounts."""

    model_config = example(
        type="menu",
        head="您对本次服务满意吗？",
        items=[{"id": "1", "content": "满意"}, {"id": "2", "content": "不满意"}],
        tail="欢迎再次光临",
    )

    type: Literal["menu"]
    head: str = Field("", max_length=1024, description="above the choices")
    items: list[MenuChoice] = Field(min_length=1, max_length=20)
    tail: str = Field("", max_length=1024, description="below the choices")


Content = Annotated[
    TextContent | ImageContent | LinkContent | MiniProgramPageContent | MenuContent,
    Field(discriminator="type", description="what to send"),
]
Delivery = Annotated[
    Guarantee,
    Field(
        description="what to prefer when the outcome of an attempt is unknown: a gap or a duplicate"
    ),
]


class SendMessageRequest(BaseModel):
    """One message to one buyer."""

    model_config = ConfigDict(
        extra="forbid",
        **example(
            openid="oXyz_1234567890",
            message={"type": "text", "text": "您好，请问有什么可以帮您？"},
        ),
    )

    openid: Openid
    message: Content
    delivery: Delivery = Guarantee.AT_MOST_ONCE

    def to_domain(self, business_id: str) -> OutboundMessage:
        return OutboundMessage(
            business_id, self.openid, content_of(self.message), guarantee=self.delivery
        )


def content_of(message: _Content) -> dict[str, Any]:
    """Return the content as it is stored: without what was not given."""
    return message.model_dump(exclude_defaults=True)


class WindowResponse(BaseModel):
    """What WeChat's send window still allows, by our own count; WeChat decides."""

    open: bool
    until: Instant | None = Field(description="null when closed")
    remaining: int = Field(description="messages left")

    @classmethod
    def of(cls, window: Window) -> WindowResponse:
        return cls(
            open=window.open,
            until=rfc3339(window.until) if window.until else None,
            remaining=window.remaining,
        )


def _is_none(value: object) -> bool:
    return value is None


class FailureResponse(BaseModel):
    """Why the last attempt did not, or may not have, sent the message; as in its event."""

    code: str = Field(
        description="for programs: a code of WeChat's refusals, or one of "
        f"`{UnavailableError.code}`, `{EXPIRED}`, `{ABANDONED.failure.code}`"
    )
    detail: str = Field(description="for people")
    errcode: int | None = Field(None, exclude_if=_is_none, description="WeChat's own number")
    rid: str | None = Field(
        None, exclude_if=_is_none, description="WeChat's request id, for its support"
    )

    @classmethod
    def of(cls, failure: Failure | None) -> FailureResponse | None:
        return cls.model_validate(failure_document(failure)) if failure else None


class MessageResponse(BaseModel):
    """A message and its state."""

    model_config = example(
        message_id="7d0c9a8b7e6f5d4c3b2a190817263544",
        business_id="42",
        openid="oXyz_1234567890",
        status="accepted",
        delivery="at_most_once",
        attempts=0,
        accepted_at="2026-01-02T03:04:05.678Z",
        settled_at=None,
        error=None,
        broadcast_id=None,
        window={"open": True, "until": "2026-01-04T03:00:00.000Z", "remaining": 4},
    )

    message_id: str
    business_id: str
    openid: str
    status: Status
    delivery: Guarantee
    attempts: int
    accepted_at: Instant
    settled_at: Instant | None = Field(description="null until it is sent, failed or unknown")
    error: FailureResponse | None
    broadcast_id: str | None = Field(description="the broadcast it belongs to")
    window: WindowResponse | None = Field(
        description="in the response to a send or a retry; null when it is not known"
    )

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
            error=FailureResponse.of(message.failure),
            broadcast_id=message.broadcast_id,
            window=WindowResponse.of(window) if window else None,
        )
