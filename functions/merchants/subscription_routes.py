"""Routes of /merchants/{business_id}/subscriptions."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import BeforeValidator

from wechat_kf.domain.subscribing import Subscriptions
from wechat_kf.domain.subscription import Target
from wechat_kf.http.subscription_models import (
    AnyTarget,
    ChangeSubscriptionRequest,
    CreatedSubscriptionResponse,
    CreateSubscriptionRequest,
    QueueTarget,
    RotatedSecretResponse,
    SubscriptionList,
    SubscriptionResponse,
    TestEventResponse,
    WebhookTarget,
)
from wechat_kf.subscribers.targets import TargetRules

BusinessId = Annotated[
    str,
    BeforeValidator(unquote),  # some clients send %2A, and some gateways leave it so
    Path(
        pattern=r"^([0-9]{1,20}|\*)$",
        description="WeChat's business id; 0 is the main account, * stands for all merchants",
    ),
]
SubscriptionId = Annotated[str, Path(pattern=r"^sub_[0-9a-f]{32}$")]

_ALL = "/merchants/<business_id>/subscriptions"
_ONE = f"{_ALL}/<subscription_id>"


def build_router(subscriptions: Subscriptions, rules: TargetRules) -> APIGatewayHttpRouter:
    """The routes that say where a merchant's events go."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post(_ALL, summary="Subscribe", status_code=201)
    def create(
        business_id: BusinessId, body: Annotated[CreateSubscriptionRequest, Body()]
    ) -> Response[CreatedSubscriptionResponse]:
        target = _target(body.target, rules)
        created = subscriptions.create(business_id, target, frozenset(body.event_types))
        return Response(
            status_code=201,
            content_type="application/json",
            body=CreatedSubscriptionResponse.of(created),
            headers={
                "Location": f"/merchants/{business_id}/subscriptions/{created.subscription_id}"
            },
        )

    @router.get(_ALL, summary="List subscriptions")
    def list_subscriptions(business_id: BusinessId) -> SubscriptionList:
        found = subscriptions.list(business_id)
        return SubscriptionList(items=[SubscriptionResponse.of(one) for one in found])

    @router.get(_ONE, summary="Read a subscription")
    def read(business_id: BusinessId, subscription_id: SubscriptionId) -> SubscriptionResponse:
        return SubscriptionResponse.of(subscriptions.get(business_id, subscription_id))

    @router.patch(_ONE, summary="Choose other events, pause or resume")
    def change(
        business_id: BusinessId,
        subscription_id: SubscriptionId,
        body: Annotated[ChangeSubscriptionRequest, Body()],
    ) -> SubscriptionResponse:
        changed = subscriptions.change(
            business_id,
            subscription_id,
            event_types=body.chosen_types,
            status=body.chosen_status,
        )
        return SubscriptionResponse.of(changed)

    @router.delete(_ONE, summary="Unsubscribe; waiting events are dropped", status_code=204)
    def remove(business_id: BusinessId, subscription_id: SubscriptionId) -> Response[str]:
        subscriptions.remove(business_id, subscription_id)
        return Response(status_code=204, body="")

    @router.post(f"{_ONE}/test", summary="Send a test event", status_code=202)
    def test(
        business_id: BusinessId, subscription_id: SubscriptionId
    ) -> Response[TestEventResponse]:
        event = subscriptions.test(business_id, subscription_id)
        return Response(
            status_code=202,
            content_type="application/json",
            body=TestEventResponse(event_id=event.id),
        )

    @router.post(f"{_ONE}/rotate-secret", summary="Replace the secret, with an overlap of 24 hours")
    def rotate(business_id: BusinessId, subscription_id: SubscriptionId) -> RotatedSecretResponse:
        return RotatedSecretResponse.of(subscriptions.rotate_secret(business_id, subscription_id))

    return router


def _target(wanted: AnyTarget, rules: TargetRules) -> Target:
    match wanted:
        case WebhookTarget(url=url):
            return rules.webhook(url)
        case QueueTarget(queue_url=queue_url):
            return rules.queue(queue_url)
        case _:
            return rules.event_bus()
