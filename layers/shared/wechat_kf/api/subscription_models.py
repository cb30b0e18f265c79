"""Request and response bodies of the subscriptions routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from wechat_kf.api.validators import Instant, example
from wechat_kf.domain.clock import rfc3339, rfc3339_or_none
from wechat_kf.domain.events import EventType
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)

Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class WebhookTarget(BaseModel):
    """An HTTPS endpoint with a public host name; events are sent to it as signed POST requests."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["webhook"]
    url: Url = Field(examples=["https://shop.example.com/hooks/wechat"])


class QueueTarget(BaseModel):
    """An SQS queue in this account and region with an allowed name; FIFO queues keep the order."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["queue"]
    queue_url: Url = Field(
        examples=["https://sqs.us-east-1.amazonaws.com/123456789012/wechat-kf-subscriber-42"]
    )


class EventBusTarget(BaseModel):
    """The stack's own EventBridge bus."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["event_bus"]


AnyTarget = Annotated[
    WebhookTarget | QueueTarget | EventBusTarget,
    Field(discriminator="type", description="where the events go"),
]
EventTypes = Annotated[
    list[EventType],
    Field(max_length=len(EventType), description="the events to send; empty means all"),
]


class CreateSubscriptionRequest(BaseModel):
    """Which events of a merchant go where."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "target": {"type": "webhook", "url": "https://shop.example.com/hooks/wechat"},
                    "event_types": ["wechat.kf.message.received"],
                }
            ]
        },
    )

    target: AnyTarget
    event_types: EventTypes = []


class ChangeSubscriptionRequest(BaseModel):
    """A field left out stays as it is; at least one is required."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"status": "paused"}]}
    )

    event_types: EventTypes | None = None
    status: Literal["active", "paused"] | None = Field(
        None,
        description="`paused`: events wait, each for up to 24 hours; `active`: resume, also after "
        "failures paused or disabled the subscription",
    )

    @model_validator(mode="after")
    def _require_a_change(self) -> ChangeSubscriptionRequest:
        if self.event_types is None and self.status is None:
            raise ValueError("event_types or status is required")
        return self

    @property
    def chosen_status(self) -> SubscriptionStatus | None:
        return SubscriptionStatus(self.status) if self.status else None

    @property
    def chosen_types(self) -> frozenset[str] | None:
        return None if self.event_types is None else frozenset(self.event_types)


class HealthResponse(BaseModel):
    """The health of a subscription's deliveries."""

    failures_in_a_row: int
    failing_since: Instant | None
    next_attempt_at: Instant | None = Field(
        description="set while the circuit breaker holds calls back"
    )

    @classmethod
    def of(cls, subscription: Subscription) -> HealthResponse:
        circuit = subscription.circuit
        return cls(
            failures_in_a_row=circuit.failures,
            failing_since=rfc3339_or_none(circuit.failing_since),
            next_attempt_at=rfc3339_or_none(circuit.open_until),
        )


_SECRET = f"whsec_{'A' * 32}"
_SUBSCRIPTION: dict[str, Any] = {
    "subscription_id": "sub_0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    "business_id": "42",
    "target": {"type": "webhook", "url": "https://shop.example.com/hooks/wechat"},
    "event_types": ["wechat.kf.message.received"],
    "status": "active",
    "status_reason": None,
    "created_at": "2026-01-02T03:04:05.678Z",
    "health": {"failures_in_a_row": 0, "failing_since": None, "next_attempt_at": None},
}


class SubscriptionResponse(BaseModel):
    """A subscription. Its secret is returned on creation only."""

    model_config = example(**_SUBSCRIPTION)

    subscription_id: str
    business_id: str
    target: AnyTarget
    event_types: list[str] = Field(description="empty means all")
    status: SubscriptionStatus
    status_reason: str | None = Field(description="why it is not active, if known")
    created_at: Instant
    health: HealthResponse

    @classmethod
    def of(cls, subscription: Subscription) -> SubscriptionResponse:
        return cls(
            subscription_id=subscription.subscription_id,
            business_id=subscription.business_id,
            target=_from_target(subscription.target),
            event_types=sorted(subscription.event_types),
            status=subscription.status,
            status_reason=subscription.status_reason or None,
            created_at=rfc3339(subscription.created_at),
            health=HealthResponse.of(subscription),
        )


class CreatedSubscriptionResponse(SubscriptionResponse):
    """A new subscription, with the secret that its webhooks are signed with."""

    model_config = example(
        **_SUBSCRIPTION,
        secret=_SECRET,
    )

    secret: str | None = Field(
        repr=False, description="`whsec_` and base64, returned only here; null unless a webhook"
    )

    @classmethod
    def of(cls, subscription: Subscription) -> CreatedSubscriptionResponse:
        shown = SubscriptionResponse.of(subscription)
        return cls(**shown.model_dump(), secret=next(iter(subscription.secrets), None))


class RotatedSecretResponse(BaseModel):
    """Until `previous_secret_until`, webhooks carry the signatures of both secrets."""

    model_config = example(
        secret=_SECRET,
        previous_secret_until="2026-01-03T03:04:05.678Z",  # noqa: S106 - a time
    )

    secret: str = Field(repr=False, description="`whsec_` and base64, returned only here")
    previous_secret_until: Instant

    @classmethod
    def of(cls, subscription: Subscription) -> RotatedSecretResponse:
        return cls(
            secret=subscription.secrets[0],
            previous_secret_until=rfc3339(subscription.previous_secret_until),
        )


class SubscriptionList(BaseModel):
    """All subscriptions of a merchant, on one page."""

    model_config = example(
        items=[_SUBSCRIPTION],
        next_cursor=None,
    )

    items: list[SubscriptionResponse]
    next_cursor: str | None = Field(description="always null: there is one page")

    @classmethod
    def of(cls, subscriptions: Sequence[Subscription]) -> SubscriptionList:
        items = [SubscriptionResponse.of(subscription) for subscription in subscriptions]
        return cls(items=items, next_cursor=None)


class TestEventResponse(BaseModel):
    """The test event's id, as the subscriber will see it."""

    model_config = example(
        event_id="5f0e1d2c3b4a59687786a5b4c3d2e1f0",
    )

    event_id: str


def _from_target(target: Target) -> AnyTarget:
    match target.type:
        case TargetType.WEBHOOK:
            return WebhookTarget(type="webhook", url=target.address)
        case TargetType.QUEUE:
            return QueueTarget(type="queue", queue_url=target.address)
        case TargetType.EVENT_BUS:
            return EventBusTarget(type="event_bus")
