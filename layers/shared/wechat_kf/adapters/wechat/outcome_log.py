"""Log and count each send attempt; alarms watch these metrics."""

from __future__ import annotations

from wechat_kf.domain.messages.message import (
    EXPIRED,
    NotSent,
    OutboundMessage,
    Outcome,
    Status,
    Wait,
)
from wechat_kf.domain.messages.message_ids import log_id
from wechat_kf.observability import count, logger
from wechat_kf.wechat.codes import ERRCODES
from wechat_kf.wechat.errors import MalformedReplyError

_ACCOUNT_STATUSES = frozenset({403, 429, 500, 502, 503})
"""Of WeChat's errors as HTTP sees them: no permission, no quota, a wrong call, out of order."""


def log_outcome(message: OutboundMessage, outcome: Outcome) -> None:
    """Log a recorded outcome and count it.

    No text and no OpenID: of the id only the beginning is logged.
    """
    failure = message.failure
    logger.info(
        "attempt recorded",
        message_id=log_id(message.message_id),
        business_id=message.business_id,
        status=str(message.status),
        attempts=message.attempts,
        code=failure.code if failure else None,
        errcode=failure.errcode if failure else None,
        rid=failure.rid if failure else None,
    )
    count("Sends", merchant=message.business_id, outcome=message.status)
    if message.status.settled and _is_fault(message):
        count("SendFaults")
    wait = outcome.wait if isinstance(outcome, NotSent) else None
    if wait is Wait.QUOTA:
        count("DailyQuotaUsedUp")
    elif wait is Wait.NEXT_MINUTE:
        count("MinuteLimitReached")


def _is_fault(message: OutboundMessage) -> bool:
    """Return whether a message failed for a reason of the account or of ours, not of its own."""
    failure = message.failure
    if message.status is Status.UNKNOWN or failure is None:
        return message.status is Status.UNKNOWN
    row = ERRCODES.get(failure.errcode) if failure.errcode is not None else None
    if row is None:
        return failure.errcode is not None or failure.code in (EXPIRED, MalformedReplyError.code)
    return row.status in _ACCOUNT_STATUSES
