"""Accepts messages and broadcasts for buyers, and serves an agent's screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf.adapters.aws.broadcast_queue import BroadcastSqsQueue
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.clients import dynamodb_client, lambda_client, sqs_client
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.media_table import MediaTable
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.queues import OutboundSqsQueue
from wechat_kf.adapters.aws.token_function import TokenFunction
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.adapters.wechat.account_media import WeChatMedia
from wechat_kf.adapters.wechat.account_quota import WeChatQuota
from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client
from wechat_kf.adapters.wechat.typing_state import WeChatTyping
from wechat_kf.api import broadcast_routes, conversation_routes, media_routes, message_routes
from wechat_kf.api.app import create_app
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenProvider
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.media import MediaLibrary
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.windows import advisory_window, window_of


@dataclass(frozen=True, slots=True)
class MessagesSettings:
    """Environment of the messages function."""

    app_id: str
    messages_table: str
    conversations_table: str
    merchants_table: str
    tokens_table: str
    token_function: str
    outbound_queue_url: str
    broadcasts_queue_url: str
    transcript_retention_days: int
    outbound_max_age_seconds: int


SETTINGS = load_settings(MessagesSettings)
WECHAT_SETTINGS = load_settings(WeChatSettings)
DYNAMODB, SQS = dynamodb_client(), sqs_client()
RETENTION_DAYS = SETTINGS.transcript_retention_days
MESSAGES = MessagesTable(DYNAMODB, SETTINGS.messages_table, RETENTION_DAYS, now_ms)
CONVERSATIONS = ConversationsTable(DYNAMODB, SETTINGS.conversations_table)
PERMISSION = SendingPermission(
    MerchantsTable(DYNAMODB, SETTINGS.merchants_table),
    now_ms,
    allow_menus=WECHAT_SETTINGS.allow_menu_messages,
)
TOKENS = TokenProvider(
    TokensTable(DYNAMODB, SETTINGS.tokens_table, SETTINGS.app_id),
    TokenFunction(lambda_client(), SETTINGS.token_function),
    now_ms,
)
CLIENT = create_client(WECHAT_SETTINGS, TOKENS)


def window_at_send(business_id: str, openid: str) -> Window:
    """What we believe WeChat still allows in this conversation."""
    return advisory_window(CONVERSATIONS, MESSAGES, (business_id, openid), now_ms())


def window_of_conversation(conversation: Conversation) -> Window:
    """The same, of a conversation that was read already."""
    return window_of(conversation, MESSAGES, now_ms())


SENDING = message_routes.MessageUseCases(
    acceptance=Acceptance(
        store=MESSAGES,
        queue=OutboundSqsQueue(SQS, SETTINGS.outbound_queue_url),
        clock=now_ms,
        max_age_ms=SETTINGS.outbound_max_age_seconds * SECOND,
    ),
    permission=PERMISSION,
    window_of=window_at_send,
)
BROADCASTING = broadcast_routes.BroadcastUseCases(
    broadcasts=Broadcasts(
        BroadcastsTable(DYNAMODB, SETTINGS.messages_table, RETENTION_DAYS, now_ms),
        MESSAGES,
        now_ms,
    ),
    queue=BroadcastSqsQueue(SQS, SETTINGS.broadcasts_queue_url),
    permission=PERMISSION,
)
DESK = conversation_routes.ConversationUseCases(
    conversations=CONVERSATIONS,
    transcripts=MESSAGES,
    window_of=window_of_conversation,
    show_typing=WeChatTyping(CLIENT),
)
CHANNEL = media_routes.ChannelUseCases(
    media=MediaLibrary(MediaTable(DYNAMODB, SETTINGS.messages_table), WeChatMedia(CLIENT), now_ms),
    quota=WeChatQuota(CLIENT, WECHAT_SETTINGS.wechat_send_path),
)

APP = create_app()
APP.include_router(message_routes.build_router(SENDING))
APP.include_router(broadcast_routes.build_router(BROADCASTING))
APP.include_router(conversation_routes.build_router(DESK))
APP.include_router(media_routes.build_router(CHANNEL))


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload format 2.0."""
    return APP.resolve(event, context)
