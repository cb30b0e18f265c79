"""Accepts messages and broadcasts for buyers, and serves an agent's screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.broadcast_queue import BroadcastSqsQueue
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.media_table import MediaTable
from wechat_kf.adapters.wechat.account_media import WeChatMedia
from wechat_kf.adapters.wechat.account_quota import WeChatQuota
from wechat_kf.adapters.wechat.client_factory import WeChatSettings
from wechat_kf.adapters.wechat.typing_state import WeChatTyping
from wechat_kf.api import broadcast_routes, conversation_routes, media_routes, message_routes
from wechat_kf.api.app import create_app
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.media import MediaLibrary
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.windows import advisory_window, window_of


@dataclass(frozen=True, kw_only=True)
class MessagesSettings(
    bootstrap.MessageSettings, bootstrap.MerchantSettings, bootstrap.TokenSettings
):
    """Environment of the messages function."""

    conversations_table: str
    broadcasts_queue_url: str
    outbound_max_age_seconds: int


SETTINGS = load_settings(MessagesSettings)
WECHAT_SETTINGS = load_settings(WeChatSettings)
MESSAGES = bootstrap.messages_table(SETTINGS)
CONVERSATIONS = ConversationsTable(bootstrap.dynamodb(), SETTINGS.conversations_table)
PERMISSION = SendingPermission(
    bootstrap.merchants_table(SETTINGS), now_ms, allow_menus=WECHAT_SETTINGS.allow_menu_messages
)
CLIENT = bootstrap.wechat_client(SETTINGS)


def window_at_send(business_id: str, openid: str) -> Window:
    """What we believe WeChat still allows in this conversation."""
    return advisory_window(CONVERSATIONS, MESSAGES, (business_id, openid), now_ms())


def window_of_conversation(conversation: Conversation) -> Window:
    """The same, of a conversation that was read already."""
    return window_of(conversation, MESSAGES, now_ms())


SENDING = message_routes.MessageUseCases(
    acceptance=bootstrap.acceptance(SETTINGS, SETTINGS.outbound_max_age_seconds * SECOND),
    permission=PERMISSION,
    window_of=window_at_send,
)
BROADCASTING = broadcast_routes.BroadcastUseCases(
    broadcasts=bootstrap.broadcasts(SETTINGS),
    queue=BroadcastSqsQueue(bootstrap.sqs(), SETTINGS.broadcasts_queue_url),
    permission=PERMISSION,
)
DESK = conversation_routes.ConversationUseCases(
    conversations=CONVERSATIONS,
    transcripts=MESSAGES,
    window_of=window_of_conversation,
    show_typing=WeChatTyping(CLIENT),
)
CHANNEL = media_routes.ChannelUseCases(
    media=MediaLibrary(
        MediaTable(bootstrap.dynamodb(), SETTINGS.messages_table), WeChatMedia(CLIENT), now_ms
    ),
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
