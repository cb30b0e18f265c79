"""Routes of /merchants/{business_id}/subscriptions."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BeforeValidator, StringConstraints

from wechat_kf.api.dependencies import needs
from wechat_kf.api.responses import answer, describe_responses
from wechat_kf.api.subscription_models import (
    AnyTarget,
    ChangeSubscriptionRequest,
    CreatedSubscriptionResponse,
    CreateSubscriptionRequest,
    FailedAttemptList,
    QueueTarget,
    RecoverRequest,
    RotatedSecretResponse,
    SubscriptionList,
    SubscriptionResponse,
    TestEventRequest,
    TestEventResponse,
    WebhookTarget,
)
from wechat_kf.api.validators import BUSINESS_ID
from wechat_kf.app_errors import ConflictError, InvalidRequestError, NotFoundError
from wechat_kf.domain.clock import HOUR
from wechat_kf.domain.subscriptions.management import (
    MOST_PER_MERCHANT,
    SECRET_OVERLAP_MS,
    SubscriptionManager,
)
from wechat_kf.domain.subscriptions.subscription import AllowedTargets, Target

BusinessId = Annotated[
    str,
    StringConstraints(pattern=rf"^({BUSINESS_ID}|\*)$"),
    BeforeValidator(unquote),  # some clients send %2A, and some gateways leave it so
    Path(
        description="WeChat's business id; 0 is the main account, * stands for all merchants",
        examples=["42"],
    ),
]
SubscriptionId = Annotated[
    str,
    Path(pattern=r"^sub_[0-9a-f]{32}$", description="returned when the subscription was created"),
]
NeedsSubscriptions = Annotated[SubscriptionManager, needs(SubscriptionManager)]

_ALL = "/merchants/<business_id>/subscriptions"
_ONE = f"{_ALL}/<subscription_id>"
_OF_ONE = (InvalidRequestError, NotFoundError)
_CHANGING_ONE = (*_OF_ONE, ConflictError)

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.post(
    _ALL,
    summary="Create a subscription",
    description="The secret of a webhook is in this response and in no other. A merchant has at "
    f"most {MOST_PER_MERCHANT} subscriptions, and one for each target; more is a 409.",
    operation_id="createSubscription",
    tags=["subscriptions"],
    responses=describe_responses(
        {201: ("created", CreatedSubscriptionResponse)},
        problems=(InvalidRequestError, ConflictError),
    ),
)
def create_subscription(
    business_id: BusinessId,
    body: Annotated[CreateSubscriptionRequest, Body()],
    subscriptions: NeedsSubscriptions,
    allowed: Annotated[AllowedTargets, needs(AllowedTargets)],
) -> Response[CreatedSubscriptionResponse]:
    target = _to_target(business_id, body.target, allowed)
    created = subscriptions.create(business_id, target, frozenset(body.event_types))
    location = f"/merchants/{business_id}/subscriptions/{created.subscription_id}"
    return answer(201, CreatedSubscriptionResponse.of(created), location)


@router.get(
    _ALL,
    summary="List subscriptions",
    operation_id="listSubscriptions",
    tags=["subscriptions"],
    responses=describe_responses(
        {200: ("all of them, oldest first", SubscriptionList)}, problems=(InvalidRequestError,)
    ),
)
def list_subscriptions(
    business_id: BusinessId, subscriptions: NeedsSubscriptions
) -> SubscriptionList:
    """Return the merchant's own subscriptions; those of `*` are listed under `*`."""
    found = subscriptions.list(business_id)
    return SubscriptionList.of([(one, subscriptions.size(one)) for one in found])


@router.get(
    _ONE,
    summary="Read a subscription",
    operation_id="readSubscription",
    tags=["subscriptions"],
    responses=describe_responses(
        {200: ("the subscription", SubscriptionResponse)}, problems=_OF_ONE
    ),
)
def read_subscription(
    business_id: BusinessId, subscription_id: SubscriptionId, subscriptions: NeedsSubscriptions
) -> SubscriptionResponse:
    found = subscriptions.get(business_id, subscription_id)
    return SubscriptionResponse.of(found, subscriptions.size(found))


@router.patch(
    _ONE,
    summary="Choose other events, pause or resume",
    operation_id="changeSubscription",
    tags=["subscriptions"],
    responses=describe_responses(
        {200: ("the subscription as it is now", SubscriptionResponse)}, problems=_CHANGING_ONE
    ),
)
def change_subscription(
    business_id: BusinessId,
    subscription_id: SubscriptionId,
    body: Annotated[ChangeSubscriptionRequest, Body()],
    subscriptions: NeedsSubscriptions,
) -> SubscriptionResponse:
    changed = subscriptions.change(
        business_id,
        subscription_id,
        event_types=body.chosen_types,
        status=body.chosen_status,
    )
    return SubscriptionResponse.of(changed, subscriptions.size(changed))


@router.delete(
    _ONE,
    summary="Delete a subscription; its waiting events are dropped",
    operation_id="deleteSubscription",
    tags=["subscriptions"],
    responses=describe_responses({204: ("deleted", None)}, problems=_OF_ONE),
)
def remove_subscription(
    business_id: BusinessId, subscription_id: SubscriptionId, subscriptions: NeedsSubscriptions
) -> Response[str]:
    subscriptions.remove(business_id, subscription_id)
    return Response(status_code=204, body="")


@router.post(
    f"{_ONE}/test",
    summary="Send a test event",
    operation_id="testSubscription",
    tags=["subscriptions"],
    responses=describe_responses(
        {202: ("queued like any event", TestEventResponse)}, problems=_CHANGING_ONE
    ),
)
def send_test_event(
    business_id: BusinessId,
    subscription_id: SubscriptionId,
    subscriptions: NeedsSubscriptions,
    body: Annotated[TestEventRequest | None, Body()] = None,
) -> Response[TestEventResponse]:
    """Send an event to an active subscription, whatever event types it chose; else 409."""
    event_type = (body or TestEventRequest()).event_type
    event = subscriptions.test(business_id, subscription_id, event_type)
    return answer(202, TestEventResponse(event_id=event.id))


@router.get(
    f"{_ONE}/attempts",
    summary="List failed attempts",
    description="The latest failed attempts of the last days, newest first. When there are very "
    "many, some are left out.",
    operation_id="listFailedAttempts",
    tags=["subscriptions"],
    responses=describe_responses(
        {200: ("the latest failed attempts", FailedAttemptList)}, problems=_OF_ONE
    ),
)
def list_failed_attempts(
    business_id: BusinessId, subscription_id: SubscriptionId, subscriptions: NeedsSubscriptions
) -> FailedAttemptList:
    return FailedAttemptList.of(subscriptions.list_attempts(business_id, subscription_id))


@router.post(
    f"{_ONE}/recover",
    summary="Put dead events back in line",
    description="Revives the events that were given up, from a given time on, closes the circuit "
    "and resumes the subscription. They are delivered in order per buyer, each at least once.",
    operation_id="recoverEvents",
    tags=["subscriptions"],
    responses=describe_responses(
        {202: ("the recovery has begun; `health` shows how it goes", SubscriptionResponse)},
        problems=_CHANGING_ONE,
    ),
)
def recover_events(
    business_id: BusinessId,
    subscription_id: SubscriptionId,
    subscriptions: NeedsSubscriptions,
    body: Annotated[RecoverRequest, Body()],
) -> Response[SubscriptionResponse]:
    recovering = subscriptions.recover(business_id, subscription_id, body.since_ms)
    return answer(202, SubscriptionResponse.of(recovering, subscriptions.size(recovering)))


@router.post(
    f"{_ONE}/rotate-secret",
    summary=f"Replace the secret, with an overlap of {SECRET_OVERLAP_MS // HOUR} hours",
    operation_id="rotateSubscriptionSecret",
    tags=["subscriptions"],
    responses=describe_responses(
        {200: ("the new secret", RotatedSecretResponse)}, problems=_CHANGING_ONE
    ),
)
def rotate_secret(
    business_id: BusinessId, subscription_id: SubscriptionId, subscriptions: NeedsSubscriptions
) -> RotatedSecretResponse:
    return RotatedSecretResponse.of(subscriptions.rotate_secret(business_id, subscription_id))


def _to_target(business_id: str, wanted: AnyTarget, allowed: AllowedTargets) -> Target:
    match wanted:
        case WebhookTarget(url=url):
            return allowed.webhook(url)
        case QueueTarget(queue_url=queue_url):
            return allowed.queue(business_id, queue_url)
        case _:
            return allowed.event_bus(business_id)
