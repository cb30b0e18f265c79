"""Routes of /merchants/{business_id}/conversations and /typing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf.api.conversation_models import (
    ConversationPage,
    ConversationResponse,
    TranscriptPage,
    TypingRequest,
    TypingResponse,
)
from wechat_kf.api.conversation_models import Typing as TypingCommand
from wechat_kf.api.parameters import BusinessId, Cursor, OpenidInPath
from wechat_kf.api.responses import answers
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.ports import ConversationStore, TranscriptReader
from wechat_kf.errors import InvalidRequestError, NotFoundError
from wechat_kf.wechat.client import TypingResult

ShowTyping = Callable[[str, str, bool], str]
"""(business id, openid, whether to show or to cancel) → what became of it."""


@dataclass(frozen=True, slots=True)
class ConversationUseCases:
    """What the routes call."""

    conversations: ConversationStore
    transcripts: TranscriptReader
    window_of: Callable[[Conversation], Window]
    show_typing: ShowTyping


def build_router(use_cases: ConversationUseCases) -> APIGatewayHttpRouter:
    """The routes behind an agent's screen."""
    router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]

    def answer(conversation: Conversation) -> ConversationResponse:
        return ConversationResponse.of(conversation, use_cases.window_of(conversation))

    @router.get(
        "/merchants/<business_id>/conversations",
        summary="List conversations",
        operation_id="listConversations",
        tags=["conversations"],
        responses=answers({200: ("a page", ConversationPage)}, problems=(InvalidRequestError,)),
    )
    def list_conversations(
        business_id: BusinessId,
        limit: Annotated[int, Query(ge=1, le=50, description="how many at most")] = 20,
        cursor: Cursor = None,
    ) -> ConversationPage:
        """A merchant's conversations, the last active first, each with its advisory window."""
        page = use_cases.conversations.recent(business_id, limit=limit, cursor=cursor)
        return ConversationPage(
            items=[answer(conversation) for conversation in page.items],
            next_cursor=page.next_cursor,
        )

    @router.get(
        "/merchants/<business_id>/conversations/<openid>",
        summary="Read a conversation's window",
        operation_id="readConversation",
        tags=["conversations"],
        responses=answers(
            {200: ("the conversation", ConversationResponse)},
            problems=(InvalidRequestError, NotFoundError),
        ),
    )
    def read(business_id: BusinessId, openid: OpenidInPath) -> ConversationResponse:
        """What the buyer last did, and what may still be sent."""
        conversation = use_cases.conversations.get(business_id, openid)
        if conversation is None:
            raise NotFoundError("this buyer has not written to this merchant yet")
        return answer(conversation)

    @router.get(
        "/merchants/<business_id>/conversations/<openid>/messages",
        summary="Read a transcript",
        operation_id="listTranscript",
        tags=["conversations"],
        responses=answers({200: ("a page", TranscriptPage)}, problems=(InvalidRequestError,)),
    )
    def transcript(
        business_id: BusinessId,
        openid: OpenidInPath,
        limit: Annotated[int, Query(ge=1, le=100, description="how many at most")] = 50,
        cursor: Cursor = None,
    ) -> TranscriptPage:
        """Both directions, newest first, as long as the stack's retention."""
        page = use_cases.transcripts.transcript(business_id, openid, limit=limit, cursor=cursor)
        return TranscriptPage.of(page)

    @router.post(
        "/merchants/<business_id>/typing",
        summary="Show that somebody is typing",
        operation_id="showTyping",
        tags=["conversations"],
        responses=answers(
            {200: ("what became of it", TypingResponse)},
            problems=(InvalidRequestError,),
            asks_wechat=True,
        ),
    )
    def typing(business_id: BusinessId, body: Annotated[TypingRequest, Body()]) -> TypingResponse:
        """Tell the buyer's phone at once; sending a message ends it by itself."""
        shown = body.command is TypingCommand.TYPING
        result = use_cases.show_typing(business_id, body.openid, shown)
        return TypingResponse(result=TypingResult(result))

    return router
