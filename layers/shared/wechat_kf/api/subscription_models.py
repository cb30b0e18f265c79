"""Request and response bodies of the subscriptions routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from wechat_kf.api.validators import Instant, example
from wechat_kf.domain.clock import SECOND, rfc3339, rfc3339_or_none
from wechat_kf.domain.events import EventType
from wechat_kf.domain.subscriptions.backlog import BacklogSize
from wechat_kf.domain.subscriptions.delivery import FailedAttempt
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
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
        examples=[
            "https://sqs.us-east-1.amazonaws.com/123456789012/wechat-kf-subscriber-42-orders.fifo"
        ]
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


class LastErrorResponse(BaseModel):
    """The latest failed attempt."""

    at: Instant
    reason: str = Field(description="`answered` and the HTTP status, or what went wrong")
    event_type: str

    @classmethod
    def of(cls, error: LastError) -> LastErrorResponse:
        return cls(at=rfc3339(error.at), reason=error.reason, event_type=error.event_type)


class HealthResponse(BaseModel):
    """The health of a subscription's deliveries."""

    failures_in_a_row: int = Field(
        description="different events that failed since the last success, by a fault of the "
        "subscriber"
    )
    failing_since: Instant | None
    next_attempt_at: Instant | None = Field(
        description="set while the circuit breaker holds calls back"
    )
    last_error: LastErrorResponse | None
    waiting: int = Field(description="events in the backlog")
    oldest: Instant | None = Field(description="when the oldest of them came")
    dead: int = Field(
        description="events given up, which `recover` puts back in line for 14 days; "
        "1000 means 1000 or more"
    )

    @classmethod
    def of(cls, subscription: Subscription, size: BacklogSize) -> HealthResponse:
        circuit, error = subscription.circuit, subscription.last_error
        return cls(
            failures_in_a_row=circuit.failures,
            failing_since=rfc3339_or_none(circuit.failing_since),
            next_attempt_at=rfc3339_or_none(circuit.open_until),
            last_error=LastErrorResponse.of(error) if error else None,
            waiting=size.waiting,
            oldest=rfc3339_or_none(size.oldest),
            dead=size.dead,
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
    "health": {
        "failures_in_a_row": 1,
        "failing_since": "2026-11-23T02:46:11.397Z",
        "next_attempt_at": None,
        "last_error": {
            "at": "2026-11-23T02:46:11.397Z",
            "reason": "answered 500",
            "event_type": "wechat.kf.message.received",
        },
        "waiting": 0,
        "oldest": None,
        "dead": 0,
    },
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
    def of(
        cls, subscription: Subscription, size: BacklogSize | None = None
    ) -> SubscriptionResponse:
        return cls(
            subscription_id=subscription.subscription_id,
            business_id=subscription.business_id,
            target=_from_target(subscription.target),
            event_types=sorted(subscription.event_types),
            status=subscription.status,
            status_reason=subscription.status_reason or None,
            created_at=rfc3339(subscription.created_at),
            health=HealthResponse.of(subscription, size or BacklogSize()),
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
    def of(
        cls, subscription: Subscription, size: BacklogSize | None = None
    ) -> CreatedSubscriptionResponse:
        shown = SubscriptionResponse.of(subscription, size)
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
    def of(cls, subscriptions: Sequence[tuple[Subscription, BacklogSize]]) -> SubscriptionList:
        items = [SubscriptionResponse.of(*subscription) for subscription in subscriptions]
        return cls(items=items, next_cursor=None)


_ATTEMPT: dict[str, Any] = {
    "at": "2026-11-23T02:46:11.397Z",
    "event_id": "7dcbbb4fbda7500100cec6130015af31bbcbf34a0f86950db6e2fee68e75d378",
    "event_type": "wechat.kf.message.received",
    "reason": "answered 500",
    "status": 500,
    "took_ms": 84,
    "answer": "Internal Server Error",
}


class FailedAttemptResponse(BaseModel):
    """One failed attempt to deliver an event."""

    model_config = example(**_ATTEMPT)

    at: Instant
    event_id: str
    event_type: str
    reason: str = Field(description="`answered` and the HTTP status, or what went wrong")
    status: int | None = Field(description="the HTTP status, if there was an answer")
    took_ms: int
    answer: str = Field(description="the beginning of the answer's body, if there was one")

    @classmethod
    def of(cls, attempt: FailedAttempt) -> FailedAttemptResponse:
        return cls(
            at=rfc3339(attempt.at),
            event_id=attempt.event_id,
            event_type=attempt.event_type,
            reason=attempt.reason,
            status=attempt.status or None,
            took_ms=attempt.took_ms,
            answer=attempt.excerpt,
        )


class FailedAttemptList(BaseModel):
    """The latest failed attempts, newest first, on one page."""

    model_config = example(items=[_ATTEMPT], next_cursor=None)

    items: list[FailedAttemptResponse]
    next_cursor: str | None = Field(description="always null: there is one page")

    @classmethod
    def of(cls, attempts: Sequence[FailedAttempt]) -> FailedAttemptList:
        items = [FailedAttemptResponse.of(attempt) for attempt in attempts]
        return cls(items=items, next_cursor=None)


class RecoverRequest(BaseModel):
    """From when on dead events are put back in line."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"since": "2026-11-23T00:00:00Z"}]}
    )

    since: AwareDatetime = Field(
        description="events that came at this time or later; those of the last 14 days are kept",
        json_schema_extra={"maxLength": 40},
    )

    @property
    def since_ms(self) -> int:
        return max(0, int(self.since.timestamp() * SECOND))


class TestEventRequest(BaseModel):
    """Which event to send."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"event_type": "wechat.kf.message.received"}]},
    )

    event_type: Annotated[
        EventType, Field(description="the event's data is a sample, with `test` set to true")
    ] = EventType.SUBSCRIPTION_TEST


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
