"""Parameters that several routes share."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from wechat_kf.api.validators import BUSINESS_ID
from wechat_kf.domain.messages.message_ids import MESSAGE_ID

BusinessId = Annotated[
    str,
    Path(
        pattern=f"^{BUSINESS_ID}$",
        description="WeChat's business id; 0 is the main account",
        examples=["42"],
    ),
]
OpenidInPath = Annotated[
    str,
    Path(pattern=r"^[A-Za-z0-9_@.-]{1,128}$", description="the buyer's OpenID"),
]
MessageId = Annotated[
    str, Path(pattern=f"^{MESSAGE_ID}$", description="returned when the message was sent")
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and body return the same resource for as long as it is kept "
        "(`TranscriptRetentionDays`, or 7 days if that is 0); another body is a 422",
    ),
]
Cursor = Annotated[
    str | None, Query(max_length=512, description="`next_cursor` of the previous page")
]
