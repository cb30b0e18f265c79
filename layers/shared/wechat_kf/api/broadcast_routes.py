"""Routes of /merchants/{business_id}/broadcasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.broadcast_models import (
    BroadcastResponse,
    CreateBroadcastRequest,
    RecipientPage,
)
from wechat_kf.api.parameters import BusinessId, IdempotencyKey
from wechat_kf.api.responses import answers
from wechat_kf.domain.merchants.merchant import MerchantInactiveError
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.ports import BroadcastQueue
from wechat_kf.errors import IdempotencyKeyReusedError, InvalidRequestError, NotFoundError

BroadcastId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="as answered to the broadcast's making")
]


@dataclass(frozen=True, slots=True)
class BroadcastUseCases:
    """What the routes call."""

    broadcasts: Broadcasts
    queue: BroadcastQueue
    permission: SendingPermission


def build_router(use_cases: BroadcastUseCases) -> APIGatewayHttpRouter:
    """The routes that accept broadcasts and tell how far they are."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post(
        "/merchants/<business_id>/broadcasts",
        summary="Send one message to up to 1 000 buyers",
        operation_id="createBroadcast",
        tags=["broadcasts"],
        responses=answers(
            {202: ("stored and on its way", BroadcastResponse)},
            problems=(InvalidRequestError, MerchantInactiveError, IdempotencyKeyReusedError),
        ),
    )
    def create(
        business_id: BusinessId,
        body: Annotated[CreateBroadcastRequest, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[BroadcastResponse]:
        """Accept a broadcast. WeChat's send window holds for each buyer on their own.

        Buyers named twice get it once. Every message of it is one like any other: it has its own
        state and its own outcome event, which names the broadcast.
        """
        request = body.to_domain(business_id, idempotency_key)
        use_cases.permission.check_merchant(business_id)
        use_cases.permission.check_content(request.content)
        broadcast = use_cases.broadcasts.accept(request)
        use_cases.queue.put(broadcast)
        path = f"/merchants/{business_id}/broadcasts/{broadcast.broadcast_id}"
        return Response(
            status_code=202,
            content_type="application/json",
            body=BroadcastResponse.of(broadcast),
            headers={"Location": path},
        )

    @router.get(
        "/merchants/<business_id>/broadcasts/<broadcast_id>",
        summary="Read a broadcast's progress",
        operation_id="readBroadcast",
        tags=["broadcasts"],
        responses=answers(
            {200: ("how far it is", BroadcastResponse)},
            problems=(InvalidRequestError, NotFoundError),
        ),
    )
    def read(business_id: BusinessId, broadcast_id: BroadcastId) -> BroadcastResponse:
        """How many recipients stand where, counted from their messages."""
        broadcast = use_cases.broadcasts.get(business_id, broadcast_id)
        return BroadcastResponse.of(broadcast, use_cases.broadcasts.progress(broadcast))

    @router.get(
        "/merchants/<business_id>/broadcasts/<broadcast_id>/recipients",
        summary="List what became of each recipient",
        operation_id="listBroadcastRecipients",
        tags=["broadcasts"],
        responses=answers(
            {200: ("a page", RecipientPage)}, problems=(InvalidRequestError, NotFoundError)
        ),
    )
    def recipients(
        business_id: BusinessId,
        broadcast_id: BroadcastId,
        limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 100,
        cursor: Annotated[
            int, Query(ge=0, le=1000, description="`next_cursor` of the page before")
        ] = 0,
    ) -> RecipientPage:
        """The recipients in the order of the request, each with its message and its error."""
        broadcast = use_cases.broadcasts.get(business_id, broadcast_id)
        page = use_cases.broadcasts.recipients(broadcast, start=cursor, limit=limit)
        return RecipientPage.of(page)

    return router
