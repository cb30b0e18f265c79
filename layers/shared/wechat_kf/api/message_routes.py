"""Routes of /merchants/{business_id}/messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.message_models import MessageResponse, SendMessageRequest
from wechat_kf.api.parameters import BusinessId, IdempotencyKey, MessageId
from wechat_kf.api.responses import answers
from wechat_kf.domain.merchants.merchant import MerchantInactiveError
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.conversations import Window
from wechat_kf.domain.messages.message import OutboundMessage
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.errors import (
    ConflictError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)
from wechat_kf.observability import logger


@dataclass(frozen=True, slots=True)
class MessageUseCases:
    """What the routes call; `window_of` tells the advisory window of (business id, openid)."""

    acceptance: Acceptance
    permission: SendingPermission
    window_of: Callable[[str, str], Window]

    def answer(self, message: OutboundMessage) -> Response[MessageResponse]:
        """202: it is safe, and on its way."""
        path = f"/merchants/{message.business_id}/messages/{message.message_id}"
        return Response(
            status_code=202,
            content_type="application/json",
            body=MessageResponse.of(message, self._advice(message)),
            headers={"Location": path},
        )

    def _advice(self, message: OutboundMessage) -> Window | None:
        """The window, or none: a 503 now would make the caller repeat what is on its way."""
        try:
            return self.window_of(message.business_id, message.openid)
        except UnavailableError as error:
            logger.warning("window not read", extra={"reason": error.detail})
            return None


def build_router(use_cases: MessageUseCases) -> APIGatewayHttpRouter:
    """The routes that accept messages and tell what became of them."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    @router.post(
        "/merchants/<business_id>/messages",
        summary="Send a message",
        operation_id="sendMessage",
        tags=["messages"],
        responses=answers(
            {202: ("stored and on its way, or what became of it meanwhile", MessageResponse)},
            problems=(InvalidRequestError, MerchantInactiveError, IdempotencyKeyReusedError),
        ),
    )
    def send(
        business_id: BusinessId,
        body: Annotated[SendMessageRequest, Body()],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[MessageResponse]:
        """Accept a message for one buyer. It is sent after those accepted before it.

        The outcome comes as an event (`wechat.kf.message.sent`, `.failed`, `.unknown`) and can be
        read at `Location`. `window` is advice: what WeChat still allows, by our own count.
        """
        draft = body.to_domain(business_id)
        use_cases.permission.check_merchant(business_id)
        use_cases.permission.check_content(draft.content)
        return use_cases.answer(use_cases.acceptance.accept(draft, idempotency_key))

    @router.get(
        "/merchants/<business_id>/messages/<message_id>",
        summary="Read a message's state",
        operation_id="readMessage",
        tags=["messages"],
        responses=answers(
            {200: ("where it stands", MessageResponse)},
            problems=(InvalidRequestError, NotFoundError),
        ),
    )
    def read(business_id: BusinessId, message_id: MessageId) -> MessageResponse:
        """Where a message stands, until the end of its retention."""
        return MessageResponse.of(use_cases.acceptance.get(business_id, message_id))

    @router.post(
        "/merchants/<business_id>/messages/<message_id>/retry",
        summary="Send a failed or unknown message again",
        operation_id="retryMessage",
        tags=["messages"],
        responses=answers(
            {202: ("on its way again", MessageResponse)},
            problems=(InvalidRequestError, NotFoundError, ConflictError, MerchantInactiveError),
        ),
    )
    def retry(business_id: BusinessId, message_id: MessageId) -> Response[MessageResponse]:
        """The caller's own decision: after `unknown` the buyer may get the message twice."""
        use_cases.permission.check_merchant(business_id)
        return use_cases.answer(use_cases.acceptance.retry(business_id, message_id))

    return router
