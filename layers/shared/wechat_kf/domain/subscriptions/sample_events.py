"""Events to test a subscriber with: one of each type, marked by `test` in their data."""

from __future__ import annotations

import uuid
from typing import Any

from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.subscriptions.subscription import Subscription

SAMPLE_OPENID = "oTestTestTestTestTestTestTes"
"""No buyer's: WeChat would refuse an answer."""


def make_sample_event(
    event_type: EventType, subscription: Subscription, app_id: str, now: int
) -> Event:
    """Make an event as it would come, with a new id.

    For a subscription to all merchants, it is one of the main account.
    """
    everyone = subscription.business_id == ANY_MERCHANT
    business_id = MAIN_ACCOUNT if everyone else subscription.business_id
    data = _sample_data(event_type, subscription, business_id, now)
    if event_type is not EventType.SUBSCRIPTION_TEST:
        data = {**data, "test": True}
    subject = data.get("openid") or data.get("subscription_id") or business_id
    return Event(uuid.uuid4().hex, event_type, app_id, business_id, subject, now, data)


def _sample_data(
    event_type: EventType, subscription: Subscription, business_id: str, now: int
) -> dict[str, Any]:
    conversation = {"business_id": business_id, "openid": SAMPLE_OPENID}
    itself = {
        "business_id": subscription.business_id,
        "subscription_id": subscription.subscription_id,
    }
    samples: dict[EventType, dict[str, Any]] = {
        EventType.MESSAGE_RECEIVED: {
            **conversation,
            "message_id": "1",
            "message": {"type": "text", "text": "test"},
        },
        EventType.SESSION_ENTERED: {**conversation, "session_from": f"wechat-kf:{business_id}"},
        EventType.PUSH_UNKNOWN: {
            **conversation,
            "push": {"kind": "event", "event": "test", "fields": {}},
        },
        EventType.MESSAGE_SENT: {**conversation, **_OUTCOME, "status": "sent"},
        EventType.MESSAGE_FAILED: {**conversation, **_FAILURE, "status": "failed"},
        EventType.MESSAGE_UNKNOWN: {**conversation, **_FAILURE, "status": "unknown"},
        EventType.MERCHANT_CHANGED: {
            **_MERCHANT,
            "business_id": business_id,
            "created_at": rfc3339(now),
            "updated_at": rfc3339(now),
        },
        EventType.SUBSCRIPTION_PAUSED: {
            **itself,
            "status": "paused",
            "reason": "test",
            "failing_since": None,
        },
        EventType.SUBSCRIPTION_TEST: itself,
    }
    return samples[event_type]


_OUTCOME = {"message_id": uuid.UUID(int=0).hex, "attempts": 1}
_FAILURE = {**_OUTCOME, "error": {"code": "test", "detail": "a test event"}}
_MERCHANT = {
    "account_name": "test",
    "nickname": "test",
    "icon_url": "",
    "external_id": None,
    "status": "active",
    "welcome_message": None,
}
