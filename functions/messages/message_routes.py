"""Routes of /merchants/{business_id}/messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Header, Path
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.domain.conversation import Window
from wechat_kf.domain.sending import Acceptance
from wechat_kf.http.message_models import MessageResponse, SendMessageRequest

BusinessId = Annotated[
    str, Path(pattern=r"^[0-9]{1,20}$", description="WeChat's business id; 0 is the main account")
]
MessageId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key and body always answer with the same message",
    ),
]
Windows = Callable[[str, str], Window]


def build_router(acceptance: Acceptance, window_of: Windows) -> APIGatewayHttpRouter:
    """The routes that accept messages and tell what became of them."""
    router = APIGatewayHttpRouter()

    @router.post("/merchants/<business_id>/messages", summary="Send a message")
    def send(
        business_id: BusinessId,
        body: Annotated[SendMessageRequest, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[MessageResponse]:
        message = acceptance.accept(body.to_domain(business_id, idempotency_key))
        return Response(
            status_code=202,
            content_type="application/json",
            body=MessageResponse.of(message, window_of(business_id, message.openid)),
            headers={"Location": f"/merchants/{business_id}/messages/{message.message_id}"},
        )

    @router.get("/merchants/<business_id>/messages/<message_id>", summary="Read a message's state")
    def read(business_id: BusinessId, message_id: MessageId) -> MessageResponse:
        return MessageResponse.of(acceptance.get(business_id, message_id))

    return router
