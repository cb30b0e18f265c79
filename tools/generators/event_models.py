"""The `data` of each event type, for subscribers: what the JSON Schemas are made from.

Tests hold them against the events that the code makes; members may be added to events later.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from wechat_kf.api.merchant_models import MerchantResponse
from wechat_kf.domain.events import EventType

BusinessId = Annotated[str, Field(description="the merchant; 0 is the main account")]
Openid = Annotated[str, Field(description="the buyer's OpenID in this Mini Program")]
Extra = Annotated[
    dict[str, Any] | None,
    Field(description="fields that WeChat has added, under WeChat's names; left out when none"),
]


class _Data(BaseModel):
    test: bool | None = Field(None, description="true in a test event; otherwise left out")


class Text(BaseModel):
    type: Literal["text"]
    text: str = Field(description="as it was typed: do not trust it")
    extra: Extra = None


class Image(BaseModel):
    type: Literal["image"]
    media_id: str = Field(description="for three days: `GET /media/{media_id}`")
    picture_url: str = Field(description="WeChat's address of it")
    extra: Extra = None


class MiniProgramPage(BaseModel):
    type: Literal["mini_program_page"]
    title: str
    app_id: str
    page_path: str
    thumb_url: str = Field(description="may be empty")
    thumb_media_id: str = Field(description="may be empty")
    extra: Extra = None


class MessageReceived(_Data):
    """A buyer sent a message."""

    business_id: BusinessId
    openid: Openid
    message_id: str = Field(description="WeChat's MsgId")
    message: Annotated[Text | Image | MiniProgramPage, Field(discriminator="type")]


class SessionEntered(_Data):
    """A buyer opened the conversation."""

    business_id: BusinessId
    openid: Openid
    session_from: str = Field(description="set by the contact button; do not trust it")
    extra: Extra = None


class UnknownPush(BaseModel):
    kind: str = Field(description="WeChat's MsgType")
    event: str | None = Field(description="WeChat's Event, of an event")
    fields: dict[str, Any] = Field(description="everything else that it held")


class PushUnknown(_Data):
    """WeChat pushed something that this version does not know."""

    business_id: BusinessId
    openid: Openid
    message_id: str | None = Field(None, description="WeChat's MsgId, if it had one")
    push: UnknownPush


class Failure(BaseModel):
    code: str = Field(description="stable: see the HTTP API's list of codes")
    detail: str
    errcode: int | None = Field(None, description="WeChat's, if it answered")
    rid: str | None = Field(None, description="WeChat's name of the call, for its support")


class _Outcome(_Data):
    message_id: str
    business_id: BusinessId
    openid: Openid
    attempts: int
    broadcast_id: str | None = Field(None, description="of a broadcast's message")


class MessageSent(_Outcome):
    """WeChat confirmed a message."""

    status: Literal["sent"]


class MessageFailed(_Outcome):
    """A message was certainly not sent."""

    status: Literal["failed"]
    error: Failure


class MessageUnknown(_Outcome):
    """A message may have been sent."""

    status: Literal["unknown"]
    error: Failure


class MerchantChanged(MerchantResponse, _Data):
    """A merchant was registered, adopted, changed, deactivated or reactivated."""


class SubscriptionPaused(_Data):
    """A subscription was stopped because its deliveries failed."""

    business_id: str = Field(description="the subscription's merchant; `*` is all")
    subscription_id: str
    status: Literal["paused", "disabled"]
    reason: str
    failing_since: AwareDatetime | None


class SubscriptionTest(BaseModel):
    """Somebody tests a subscription."""

    business_id: str = Field(description="the subscription's merchant; `*` is all")
    subscription_id: str


MODELS: dict[EventType, type[BaseModel]] = {
    EventType.MESSAGE_RECEIVED: MessageReceived,
    EventType.SESSION_ENTERED: SessionEntered,
    EventType.PUSH_UNKNOWN: PushUnknown,
    EventType.MESSAGE_SENT: MessageSent,
    EventType.MESSAGE_FAILED: MessageFailed,
    EventType.MESSAGE_UNKNOWN: MessageUnknown,
    EventType.MERCHANT_CHANGED: MerchantChanged,
    EventType.SUBSCRIPTION_PAUSED: SubscriptionPaused,
    EventType.SUBSCRIPTION_TEST: SubscriptionTest,
}
