"""Routes of /merchants/{business_id}/messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.dependencies import needs
from wechat_kf.api.message_models import MessageResponse, SendMessageRequest
from wechat_kf.api.parameters import BusinessId, IdempotencyKey, MessageId
from wechat_kf.api.responses import answer, describe_responses
from wechat_kf.app_errors import (
    ConflictError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
)
from wechat_kf.domain.messages.acceptance import Acceptance, AcceptanceUncertainError
from wechat_kf.domain.messages.conversations import Window
from wechat_kf.domain.messages.message import OutboundMessage
from wechat_kf.domain.messages.permission import MAY_NOT_SEND, SendingPermission
from wechat_kf.domain.messages.windows import (
    ConversationFullError,
    NoConversationError,
    SendWindows,
)
from wechat_kf.observability import logger

NeedsAcceptance = Annotated[Acceptance, needs(Acceptance)]
NeedsPermission = Annotated[SendingPermission, needs(SendingPermission)]
NeedsWindows = Annotated[SendWindows, needs(SendWindows)]

_ALL = "/merchants/<business_id>/messages"
_ONE = f"{_ALL}/<message_id>"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.post(
    _ALL,
    summary="Send a message",
    operation_id="sendMessage",
    tags=["messages"],
    responses=describe_responses(
        {202: ("stored, and will be sent; a repeat returns its present state", MessageResponse)},
        problems=(
            InvalidRequestError,
            *MAY_NOT_SEND,
            IdempotencyKeyReusedError,
            NoConversationError,
            ConversationFullError,
            AcceptanceUncertainError,
        ),
    ),
)
def send_message(
    business_id: BusinessId,
    body: Annotated[SendMessageRequest, Body()],
    acceptance: NeedsAcceptance,
    permission: NeedsPermission,
    windows: NeedsWindows,
    idempotency_key: IdempotencyKey = None,
) -> Response[MessageResponse]:
    """Accept a message for one buyer. It is sent after those accepted before it.

    The outcome comes as an event (`wechat.kf.message.sent`, `.failed`, `.unknown`) and can be
    read at `Location`. `window` is advice: what WeChat still allows, by our own count.

    After a 503 the `code` says how to go on: `temporarily_unavailable`: nothing was stored;
    `acceptance_uncertain`: read `message_id` first, or repeat with the same `Idempotency-Key`.
    """
    draft = body.to_domain(business_id)
    permission.check_merchant(business_id)
    permission.check_content(draft.content)
    standing = windows.look(business_id, draft.openid)
    message = acceptance.accept(draft, idempotency_key, standing.refusal)
    return _answer_accepted(message, lambda: windows.of(standing.conversation))


@router.get(
    _ONE,
    summary="Read a message's state",
    operation_id="readMessage",
    tags=["messages"],
    responses=describe_responses(
        {200: ("the message's state", MessageResponse)},
        problems=(InvalidRequestError, NotFoundError),
    ),
)
def read_message(
    business_id: BusinessId, message_id: MessageId, acceptance: NeedsAcceptance
) -> MessageResponse:
    """Return a message's state, until the end of its retention."""
    return MessageResponse.of(acceptance.get(business_id, message_id))


@router.post(
    f"{_ONE}/retry",
    summary="Send a failed or unknown message again",
    operation_id="retryMessage",
    tags=["messages"],
    responses=describe_responses(
        {202: ("accepted again", MessageResponse)},
        problems=(
            InvalidRequestError,
            NotFoundError,
            ConflictError,
            *MAY_NOT_SEND,
            ConversationFullError,
        ),
    ),
)
def retry_message(
    business_id: BusinessId,
    message_id: MessageId,
    acceptance: NeedsAcceptance,
    permission: NeedsPermission,
    windows: NeedsWindows,
) -> Response[MessageResponse]:
    """Queue a message again. After `unknown` the buyer may get it twice: the caller decides."""
    permission.check_merchant(business_id)
    message = acceptance.retry(business_id, message_id)
    return _answer_accepted(message, lambda: windows.find(business_id, message.openid))


def _answer_accepted(
    message: OutboundMessage, find_window: Callable[[], Window]
) -> Response[MessageResponse]:
    path = f"/merchants/{message.business_id}/messages/{message.message_id}"
    return answer(202, MessageResponse.of(message, _look_up_window(find_window)), path)


def _look_up_window(find_window: Callable[[], Window]) -> Window | None:
    """Return the window, or None: a 5xx would make the caller repeat what is stored already."""
    try:
        return find_window()
    except Exception as error:  # the message is accepted, whatever happens here
        logger.warning("window lookup failed", error_type=type(error).__name__)
        return None
