"""The advisory send window of a conversation: what WeChat still allows, by our own count."""

from __future__ import annotations

from wechat_kf.domain.messages.conversations import Conversation, Window, window
from wechat_kf.domain.messages.ports import ConversationStore, OutboundStore


def advisory_window(
    conversations: ConversationStore, store: OutboundStore, key: tuple[str, str], now: int
) -> Window:
    """Return the send window of (business id, OpenID) at `now`, by our own count."""
    business_id, openid = key
    conversation = conversations.get(business_id, openid) or Conversation(business_id, openid)
    return window_of(conversation, store, now)


def window_of(conversation: Conversation, store: OutboundStore, now: int) -> Window:
    """Return the send window of a conversation at `now`; a closed one costs no read."""
    untouched = window(conversation, [], now)
    if not untouched.open:
        return untouched
    since = min(filter(None, (conversation.messaged_at, conversation.entered_at)))
    sent = store.sent_at(conversation.business_id, conversation.openid, since=since, limit=10)
    return window(conversation, sent, now)
