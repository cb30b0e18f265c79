"""The advisory send window of a conversation: what WeChat still allows, by our own count."""

from __future__ import annotations

from dataclasses import dataclass

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.messages.conversations import Conversation, Window, window
from wechat_kf.domain.messages.ports import ConversationStore, OutboundStore


@dataclass(frozen=True, slots=True)
class SendWindows:
    """Counts the send windows of conversations."""

    conversations: ConversationStore
    messages: OutboundStore
    clock: Clock

    def find(self, business_id: str, openid: str) -> Window:
        """Return the window of a conversation that has not been read yet."""
        conversation = self.conversations.get(business_id, openid)
        return self.of(conversation or Conversation(business_id, openid))

    def of(self, conversation: Conversation) -> Window:
        """Return the window of a conversation; one that is closed anyway costs no read."""
        now = self.clock()
        untouched = window(conversation, [], now)
        if not untouched.open:
            return untouched
        since = min(filter(None, (conversation.messaged_at, conversation.entered_at)))
        sent = self.messages.sent_at(
            conversation.business_id, conversation.openid, since=since, limit=10
        )
        return window(conversation, sent, now)
