"""Log and count each send attempt; alarms watch these metrics."""

from __future__ import annotations

from wechat_kf.domain.messages.message import NotSent, OutboundMessage, Outcome, Wait
from wechat_kf.observability import count, logger


def log_outcome(message: OutboundMessage, outcome: Outcome) -> None:
    """Log a recorded outcome (no text, no OpenID) and count it."""
    failure = message.failure
    logger.info(
        "attempt recorded",
        message_id=message.message_id,
        business_id=message.business_id,
        status=str(message.status),
        attempts=message.attempts,
        code=failure.code if failure else None,
        errcode=failure.errcode if failure else None,
        rid=failure.rid if failure else None,
    )
    count("Sends", merchant=message.business_id, outcome=message.status)
    wait = outcome.wait if isinstance(outcome, NotSent) else None
    if wait is Wait.QUOTA:
        count("DailyQuotaUsedUp")
    elif wait is Wait.NEXT_MINUTE:
        count("MinuteLimitReached")
