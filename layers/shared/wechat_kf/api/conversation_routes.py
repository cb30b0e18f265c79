"""Routes of /merchants/{business_id}/conversations and /typing."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.conversation_models import (
    ConversationPage,
    ConversationResponse,
    TranscriptPage,
    Typing,
    TypingRequest,
    TypingResponse,
)
from wechat_kf.api.dependencies import Account, needs
from wechat_kf.api.parameters import BusinessId, Cursor, OpenidInPath
from wechat_kf.api.responses import describe_responses
from wechat_kf.app_errors import InvalidRequestError, NotFoundError
from wechat_kf.domain.messages.ports import ConversationStore, TranscriptReader
from wechat_kf.domain.messages.windows import SendWindows

NeedsConversations = Annotated[ConversationStore, needs(ConversationStore)]
NeedsWindows = Annotated[SendWindows, needs(SendWindows)]

_ALL = "/merchants/<business_id>/conversations"
_ONE = f"{_ALL}/<openid>"

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


@router.get(
    _ALL,
    summary="List conversations",
    operation_id="listConversations",
    tags=["conversations"],
    responses=describe_responses(
        {200: ("a page", ConversationPage)}, problems=(InvalidRequestError,)
    ),
)
def list_conversations(
    business_id: BusinessId,
    conversations: NeedsConversations,
    windows: NeedsWindows,
    limit: Annotated[int, Query(ge=1, le=50, description="items per page, at most")] = 20,
    cursor: Cursor = None,
) -> ConversationPage:
    """Return a merchant's conversations, last active first, each with its advisory window."""
    page = conversations.recent(business_id, limit=limit, cursor=cursor)
    return ConversationPage(
        items=[ConversationResponse.of(found, windows.of(found)) for found in page.items],
        next_cursor=page.next_cursor,
    )


@router.get(
    _ONE,
    summary="Read a conversation's window",
    operation_id="readConversation",
    tags=["conversations"],
    responses=describe_responses(
        {200: ("the conversation", ConversationResponse)},
        problems=(InvalidRequestError, NotFoundError),
    ),
)
def read_conversation(
    business_id: BusinessId,
    openid: OpenidInPath,
    conversations: NeedsConversations,
    windows: NeedsWindows,
) -> ConversationResponse:
    """Return what the buyer last did, and what may still be sent."""
    conversation = conversations.get(business_id, openid)
    if conversation is None:
        raise NotFoundError("this buyer has not written to this merchant yet")
    return ConversationResponse.of(conversation, windows.of(conversation))


@router.get(
    f"{_ONE}/messages",
    summary="Read a transcript",
    operation_id="listTranscript",
    tags=["conversations"],
    responses=describe_responses(
        {200: ("a page", TranscriptPage)}, problems=(InvalidRequestError,)
    ),
)
def list_transcript(
    business_id: BusinessId,
    openid: OpenidInPath,
    transcripts: Annotated[TranscriptReader, needs(TranscriptReader)],
    limit: Annotated[int, Query(ge=1, le=100, description="items per page, at most")] = 50,
    cursor: Cursor = None,
) -> TranscriptPage:
    """Return the messages of both directions, newest first, for the stack's retention."""
    page = transcripts.transcript(business_id, openid, limit=limit, cursor=cursor)
    return TranscriptPage.of(page)


@router.post(
    "/merchants/<business_id>/typing",
    summary="Show that somebody is typing",
    operation_id="showTyping",
    tags=["conversations"],
    responses=describe_responses(
        {200: ("the result", TypingResponse)},
        problems=(InvalidRequestError,),
        asks_wechat=True,
    ),
)
def show_typing(
    business_id: BusinessId,
    body: Annotated[TypingRequest, Body()],
    account: Annotated[Account, needs(Account)],
) -> TypingResponse:
    """Show it on the buyer's phone at once; sending a message ends it."""
    shown = body.command is Typing.TYPING
    result = account.show_typing(business_id, body.openid, shown=shown)
    return TypingResponse(result=result)
