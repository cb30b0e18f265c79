"""Request and response bodies of broadcasts: over HTTP, through EventBridge and through SQS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from wechat_kf.api.field_names import field_name
from wechat_kf.api.message_models import (
    Content,
    Delivery,
    FailureResponse,
    Openid,
    content_of,
)
from wechat_kf.api.validators import BUSINESS_ID, Instant, example
from wechat_kf.app_errors import InvalidRequestError
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.messages.broadcasts import (
    MAX_RECIPIENTS,
    PENDING,
    Broadcast,
    BroadcastRequest,
    Recipient,
)
from wechat_kf.domain.messages.message import Guarantee, Status
from wechat_kf.domain.paging import Page

_EXAMPLE: dict[str, Any] = {
    "openids": ["oXyz_1234567890", "oXyz_1234567891"],
    "message": {"type": "text", "text": "您的订单已发货。"},
}


class CreateBroadcastRequest(BaseModel):
    """One message to up to 1 000 buyers; a buyer named twice gets it once."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    openids: list[Openid] = Field(
        min_length=1,
        max_length=2000,
        description=f"the buyers, up to {MAX_RECIPIENTS} different ones",
    )
    message: Content
    delivery: Delivery = Guarantee.AT_MOST_ONCE

    def to_domain(self, business_id: str, idempotency_key: str | None) -> BroadcastRequest:
        return BroadcastRequest(
            business_id=business_id,
            openids=tuple(self.openids),
            content=content_of(self.message),
            guarantee=self.delivery,
            idempotency_key=idempotency_key,
        )


class SendMessagesEvent(CreateBroadcastRequest):
    """A broadcast by event: the detail of `SendMessages`, or a message of the broadcasts queue."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"business_id": "42", **_EXAMPLE}]}
    )

    business_id: Annotated[str, StringConstraints(pattern=f"^{BUSINESS_ID}$")]
    idempotency_key: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, description="the id of the event or queue message when left out"
    )


def read_event(document: Mapping[str, Any], key: str) -> BroadcastRequest:
    """Read a broadcast by event; `key` recognizes a repeat when the document has none of its own.

    Raises:
        InvalidRequestError: Names the first wrong field and the rule it breaks, without what the
            producer wrote. An unknown member is the producer's word: it is not named.
    """
    try:
        event = SendMessagesEvent.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        unknown = first["type"] == "extra_forbidden"
        field = field_name(first, first["loc"][:-1] if unknown else first["loc"])
        raise InvalidRequestError(field or "document", first["type"]) from None
    return event.to_domain(event.business_id, event.idempotency_key or key)


_PROGRESS = {
    "pending": 0,
    "accepted": 0,
    "sending": 1,
    "sent": 1,
    "failed": 0,
    "unknown": 0,
}


class BroadcastProgress(BaseModel):
    """The number of recipients in each state; they add up to `recipients`."""

    pending: int = Field(description="no message created yet")
    accepted: int
    sending: int
    sent: int
    failed: int
    unknown: int

    @classmethod
    def of(cls, counts: Counter[str]) -> BroadcastProgress:
        return cls.model_validate({name: counts[name] for name in (PENDING, *Status)})


class BroadcastResponse(BaseModel):
    """A broadcast."""

    model_config = example(
        broadcast_id="2f1c7d5e9a3b4c6d8e0f1a2b3c4d5e6f",
        business_id="42",
        delivery="at_most_once",
        recipients=2,
        duplicates=0,
        accepted_at="2026-01-02T03:04:05.678Z",
        progress=_PROGRESS,
    )

    broadcast_id: str
    business_id: str
    delivery: Guarantee
    recipients: int
    duplicates: int = Field(description="recipients dropped because they were named more than once")
    accepted_at: Instant
    progress: BroadcastProgress | None = Field(description="null in the creation response")

    @classmethod
    def of(cls, broadcast: Broadcast, counts: Counter[str] | None = None) -> BroadcastResponse:
        return cls(
            broadcast_id=broadcast.broadcast_id,
            business_id=broadcast.business_id,
            delivery=broadcast.guarantee,
            recipients=len(broadcast.openids),
            duplicates=broadcast.duplicates,
            accepted_at=rfc3339(broadcast.accepted_at),
            progress=BroadcastProgress.of(counts) if counts is not None else None,
        )


class RecipientResponse(BaseModel):
    """One recipient and the state of its message."""

    openid: str
    message_id: str
    status: str = Field(
        description="the message's status; `pending`: no message created yet",
        json_schema_extra={"enum": [PENDING, *Status]},
    )
    error: FailureResponse | None

    @classmethod
    def of(cls, recipient: Recipient) -> RecipientResponse:
        message = recipient.message
        return cls(
            openid=recipient.openid,
            message_id=recipient.message_id,
            status=message.status if message else PENDING,
            error=FailureResponse.of(message.failure) if message else None,
        )


class RecipientPage(BaseModel):
    """A page of recipients, in the order of the request."""

    model_config = example(
        items=[
            {
                "openid": "oXyz_1234567890",
                "message_id": "7d0c9a8b7e6f5d4c3b2a190817263544",
                "status": "failed",
                "error": {
                    "code": "window_closed",
                    "detail": "the customer has not written for 48 hours",
                    "errcode": 45015,
                    "rid": "6114dedc-7e90330d-3fb31e22",
                },
            }
        ],
        next_cursor="1",
    )

    items: list[RecipientResponse]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[Recipient]) -> RecipientPage:
        items = [RecipientResponse.of(recipient) for recipient in page.items]
        return cls(items=items, next_cursor=page.next_cursor)
