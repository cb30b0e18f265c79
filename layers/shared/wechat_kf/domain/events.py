"""Events for subscribers: CloudEvents 1.0 in structured JSON.

One form from the push function to the subscriber: the inbound queue, the deliveries queue and the
webhook all carry the same document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from wechat_kf.domain.clock import from_rfc3339, rfc3339

MAIN_ACCOUNT = "0"
"""The business id of conversations that belong to no sub-merchant."""

ANY_MERCHANT = "*"
"""In a subscription: all merchants, the main account included."""


class EventType(StrEnum):
    """The types a subscriber can choose from."""

    MESSAGE_RECEIVED = "wechat.kf.message.received"
    SESSION_ENTERED = "wechat.kf.session.entered"
    PUSH_UNKNOWN = "wechat.kf.push.unknown"
    MESSAGE_SENT = "wechat.kf.message.sent"
    MESSAGE_FAILED = "wechat.kf.message.failed"
    MESSAGE_UNKNOWN = "wechat.kf.message.unknown"
    MERCHANT_CHANGED = "wechat.kf.merchant.changed"
    SUBSCRIPTION_PAUSED = "wechat.kf.subscription.paused"
    SUBSCRIPTION_TEST = "wechat.kf.subscription.test"


@dataclass(frozen=True, slots=True)
class Event:
    """One happening. `id` is deterministic, the same for the same happening each time: hexadecimal
    digits, 64 at most, so that every queue takes it as it is."""

    id: str
    type: str
    app_id: str
    business_id: str
    openid: str
    at_ms: int
    data: Mapping[str, Any]

    @property
    def conversation(self) -> str:
        """`business_id#openid`: the unit of order and of fairness."""
        return conversation_key(self.business_id, self.openid)

    def to_cloudevent(self) -> dict[str, Any]:
        """The CloudEvents 1.0 document (structured JSON mode)."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type,
            "source": f"/apps/{self.app_id}/merchants/{self.business_id}",
            "subject": self.openid,
            "time": rfc3339(self.at_ms),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }

    @classmethod
    def from_cloudevent(cls, document: Mapping[str, Any]) -> Event:
        """The inverse of `to_cloudevent`. Raises `KeyError` or `ValueError` for other documents."""
        _, apps, app_id, merchants, business_id = document["source"].split("/")
        if (apps, merchants) != ("apps", "merchants"):
            raise ValueError("source is not one of ours")
        return cls(
            id=document["id"],
            type=document["type"],
            app_id=app_id,
            business_id=business_id,
            openid=document["subject"],
            at_ms=from_rfc3339(document["time"]),
            data=document["data"],
        )


def conversation_key(business_id: str, openid: str) -> str:
    """`business_id#openid`; a business id never holds a `#`, so the key is unambiguous."""
    return f"{business_id}#{openid}"


class EventQueue(Protocol):
    """Takes events on their way to the subscribers."""

    def put(self, event: Event) -> None:
        """Return only when the event is safe. Raise `UnavailableError` when it is not."""
