"""Routes of /merchants/{business_id}/broadcasts."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.broadcast_models import (
    BroadcastResponse,
    CreateBroadcastRequest,
    RecipientPage,
)
from wechat_kf.api.dependencies import needs
from wechat_kf.api.parameters import BusinessId, IdempotencyKey
from wechat_kf.api.responses import answer, describe_responses
from wechat_kf.app_errors import IdempotencyKeyReusedError, InvalidRequestError, NotFoundError
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.permission import MAY_NOT_SEND, SendingPermission
from wechat_kf.domain.messages.ports import BroadcastQueue

BroadcastId = Annotated[
    str, Path(pattern=r"^[0-9a-f]{32}$", description="returned when the broadcast was created")
]
NeedsBroadcasts = Annotated[Broadcasts, needs(Broadcasts)]

_ALL = "/merchants/<business_id>/broadcasts"
_ONE = f"{_ALL}/<broadcast_id>"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.post(
    _ALL,
    summary="Send one message to up to 1 000 buyers",
    operation_id="createBroadcast",
    tags=["broadcasts"],
    responses=describe_responses(
        {202: ("stored and queued", BroadcastResponse)},
        problems=(InvalidRequestError, *MAY_NOT_SEND, IdempotencyKeyReusedError),
    ),
)
def create_broadcast(
    business_id: BusinessId,
    body: Annotated[CreateBroadcastRequest, Body()],
    broadcasts: NeedsBroadcasts,
    queue: Annotated[BroadcastQueue, needs(BroadcastQueue)],
    permission: Annotated[SendingPermission, needs(SendingPermission)],
    idempotency_key: IdempotencyKey = None,
) -> Response[BroadcastResponse]:
    """Accept a broadcast. WeChat's send window is checked for each buyer separately.

    A buyer named twice gets it once. Each of its messages is one like any other: it has its own
    state and its own outcome event, which names the broadcast.
    """
    request = body.to_domain(business_id, idempotency_key)
    permission.check_merchant(business_id)
    permission.check_content(request.content)
    broadcast = broadcasts.accept(request)
    queue.put(broadcast)
    location = f"/merchants/{business_id}/broadcasts/{broadcast.broadcast_id}"
    return answer(202, BroadcastResponse.of(broadcast), location)


@router.get(
    _ONE,
    summary="Read a broadcast's progress",
    operation_id="readBroadcast",
    tags=["broadcasts"],
    responses=describe_responses(
        {200: ("the broadcast and its progress", BroadcastResponse)},
        problems=(InvalidRequestError, NotFoundError),
    ),
)
def read_broadcast(
    business_id: BusinessId, broadcast_id: BroadcastId, broadcasts: NeedsBroadcasts
) -> BroadcastResponse:
    """Return the number of recipients in each state, counted from their messages."""
    broadcast = broadcasts.get(business_id, broadcast_id)
    return BroadcastResponse.of(broadcast, broadcasts.progress(broadcast))


@router.get(
    f"{_ONE}/recipients",
    summary="List the outcome for each recipient",
    operation_id="listBroadcastRecipients",
    tags=["broadcasts"],
    responses=describe_responses(
        {200: ("a page", RecipientPage)}, problems=(InvalidRequestError, NotFoundError)
    ),
)
def list_recipients(
    business_id: BusinessId,
    broadcast_id: BroadcastId,
    broadcasts: NeedsBroadcasts,
    limit: Annotated[int, Query(ge=1, le=100, description="items per page, at most")] = 100,
    cursor: Annotated[
        str | None,
        Query(pattern="^[0-9]{1,4}$", description="`next_cursor` of the previous page"),
    ] = None,
) -> RecipientPage:
    """Return the recipients in the order of the request, each with its message and its error."""
    broadcast = broadcasts.get(business_id, broadcast_id)
    return RecipientPage.of(broadcasts.recipients(broadcast, start=int(cursor or 0), limit=limit))
