"""Accepts messages and broadcasts to buyers; serves conversations, images and quotas."""

from __future__ import annotations

from typing import Any

from wechat_kf import bootstrap
from wechat_kf.adapters.aws.broadcast_queue import BroadcastSqsQueue
from wechat_kf.api import (
    broadcast_routes,
    conversation_routes,
    media_routes,
    message_routes,
    quota_routes,
)
from wechat_kf.api.app import create_app
from wechat_kf.api.dependencies import Account
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import SECOND, now_ms
from wechat_kf.domain.media_library import MediaLibrary
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.ports import BroadcastQueue, ConversationStore, TranscriptReader
from wechat_kf.domain.messages.windows import SendWindows
from wechat_kf.observability import guard_invocation


class MessagesSettings(bootstrap.AcceptanceSettings, bootstrap.TokenSettings):
    """Environment of the messages function."""

    broadcasts_queue_url: str


SETTINGS = load_settings(MessagesSettings)
MESSAGES = bootstrap.messages_table(SETTINGS)
CONVERSATIONS = bootstrap.conversations_table(SETTINGS)
ACCOUNT = bootstrap.wechat_account(SETTINGS)
MEDIA = bootstrap.media_table(SETTINGS, SETTINGS.app_id)
PROVIDED: dict[type, Any] = {
    Acceptance: bootstrap.acceptance(SETTINGS, SETTINGS.outbound_max_age_seconds * SECOND),
    Broadcasts: bootstrap.broadcasts(SETTINGS),
    BroadcastQueue: BroadcastSqsQueue(bootstrap.sqs(), SETTINGS.broadcasts_queue_url),
    SendingPermission: bootstrap.permission(SETTINGS),
    SendWindows: bootstrap.send_windows(SETTINGS),
    ConversationStore: CONVERSATIONS,
    TranscriptReader: MESSAGES,
    MediaLibrary: MediaLibrary(MEDIA, ACCOUNT, now_ms),
    Account: ACCOUNT,
}
ROUTES = message_routes, broadcast_routes, conversation_routes, media_routes, quota_routes
APP = create_app(*ROUTES, provided=PROVIDED)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Serve API Gateway's HTTP API (payload format 2.0)."""
    return APP.resolve(event, context)
