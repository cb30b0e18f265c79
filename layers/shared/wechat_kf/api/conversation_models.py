"""Response bodies of the conversations routes, and of typing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from wechat_kf.api.message_models import Openid, WindowResponse
from wechat_kf.api.validators import Instant, example
from wechat_kf.domain.clock import rfc3339, rfc3339_or_none
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.message import Status
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry
from wechat_kf.domain.paging import Page
from wechat_kf.wechat.client import TypingResult

_CONVERSATION: dict[str, Any] = {
    "business_id": "42",
    "openid": "oXyz_1234567890",
    "active_at": "2026-01-02T03:00:00.000Z",
    "messaged_at": "2026-01-02T03:00:00.000Z",
    "entered_at": None,
    "window": {"open": True, "until": "2026-01-04T03:00:00.000Z", "remaining": 4},
}


class ConversationResponse(BaseModel):
    """What a buyer last did, and what may still be sent."""

    model_config = example(**_CONVERSATION)

    business_id: str
    openid: str
    active_at: Instant = Field(description="the buyer's last action")
    messaged_at: Instant | None = Field(description="the buyer's last message")
    entered_at: Instant | None = Field(description="when the buyer last opened the conversation")
    window: WindowResponse

    @classmethod
    def of(cls, conversation: Conversation, window: Window) -> ConversationResponse:
        return cls(
            business_id=conversation.business_id,
            openid=conversation.openid,
            active_at=rfc3339(conversation.active_at),
            messaged_at=rfc3339_or_none(conversation.messaged_at),
            entered_at=rfc3339_or_none(conversation.entered_at),
            window=WindowResponse.of(window),
        )


class ConversationPage(BaseModel):
    """A page of conversations, last active first."""

    model_config = example(
        items=[_CONVERSATION],
        next_cursor=None,
    )

    items: list[ConversationResponse]
    next_cursor: str | None


class TranscriptEntryResponse(BaseModel):
    """One message of either direction."""

    id: str = Field(description="a received message's event id, or a sent one's message id")
    direction: Direction = Field(description="from the buyer or to the buyer")
    at: Instant = Field(description="when the buyer wrote it, or when we accepted it")
    status: Status | None = Field(description="a sent message's status; null for a received one")
    message: dict[str, Any] | None = Field(
        description="the content: as in the request for a sent message, as in the event for a "
        "received one ([events.md](events.md)); null when it is no longer kept"
    )

    @classmethod
    def of(cls, entry: TranscriptEntry) -> TranscriptEntryResponse:
        return cls(
            id=entry.entry_id,
            direction=entry.direction,
            at=rfc3339(entry.at_ms),
            status=entry.status,
            message=dict(entry.content) if entry.content else None,
        )


class TranscriptPage(BaseModel):
    """A page of a transcript, newest first."""

    model_config = example(
        items=[
            {
                "id": "7d0c9a8b7e6f5d4c3b2a190817263544",
                "direction": "sent",
                "at": "2026-01-02T03:04:05.678Z",
                "status": "sent",
                "message": {"type": "text", "text": "您好，请问有什么可以帮您？"},
            }
        ],
        next_cursor=None,
    )

    items: list[TranscriptEntryResponse]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[TranscriptEntry]) -> TranscriptPage:
        items = [TranscriptEntryResponse.of(entry) for entry in page.items]
        return cls(items=items, next_cursor=page.next_cursor)


class Typing(StrEnum):
    """What to show the buyer."""

    TYPING = "typing"
    CANCEL = "cancel"


class TypingRequest(BaseModel):
    """Shows that somebody is typing (for 15 s), or stops it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"openid": "oXyz_1234567890"}]}
    )

    openid: Openid
    command: Typing = Typing.TYPING


class TypingResponse(BaseModel):
    """The result of a typing request."""

    model_config = example(
        result="shown",
    )

    result: TypingResult = Field(
        description="`shown`; `already`: it was shown before; `ignored`: WeChat shows it only "
        "within 30 seconds of an exchange"
    )
