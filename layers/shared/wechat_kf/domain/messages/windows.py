"""What a conversation still takes: WeChat's send window by our own count, and our own bounds."""

from __future__ import annotations

from dataclasses import dataclass

from wechat_kf.app_errors import AppError
from wechat_kf.domain.clock import Clock
from wechat_kf.domain.messages.conversations import Conversation, Window, window
from wechat_kf.domain.messages.ports import ConversationStore, OutboundStore

MOST_UNSETTLED = 20
"""WeChat takes 5 messages in 48 hours: more than this waiting is a loop or a flood, and one long
queue would hide the messages of others from SQS."""


class ConversationFullError(AppError):
    """Too many messages of this conversation are unsettled (20)."""

    code = "conversation_full"
    status = 429

    def __init__(self) -> None:
        super().__init__(f"{MOST_UNSETTLED} messages of this conversation are unsettled")


class NoConversationError(AppError):
    """This buyer never wrote to this merchant, and never entered its conversation."""

    code = "no_conversation"
    status = 409

    def __init__(self) -> None:
        super().__init__("this buyer never wrote to this merchant nor entered its conversation")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a conversation stands when a message for it arrives; `refusal` None: it takes it."""

    conversation: Conversation
    refusal: AppError | None = None


@dataclass(frozen=True, slots=True)
class SendWindows:
    """Counts what conversations still take.

    `require_conversation`: only buyers who wrote or entered before may get messages. WeChat refuses
    the others anyway, and each refusal costs a call of the account's daily quota.
    """

    conversations: ConversationStore
    messages: OutboundStore
    clock: Clock
    require_conversation: bool = True

    def look(self, business_id: str, openid: str) -> Standing:
        """Return how a conversation stands before another message: two cheap reads."""
        known = self.conversations.get(business_id, openid, consistent=False)
        if known is None and self.require_conversation:
            # A cheap read may miss a buyer who wrote a moment ago: ask again before refusing.
            known = self.conversations.get(business_id, openid)
            if known is None:
                return Standing(Conversation(business_id, openid), NoConversationError())
        conversation = known or Conversation(business_id, openid)
        unsettled = self.messages.list_unsettled(business_id, openid, limit=MOST_UNSETTLED)
        full = len(unsettled) >= MOST_UNSETTLED
        return Standing(conversation, ConversationFullError() if full else None)

    def find(self, business_id: str, openid: str) -> Window:
        """Return the window of a conversation that has not been read yet."""
        conversation = self.conversations.get(business_id, openid, consistent=False)
        return self.of(conversation or Conversation(business_id, openid))

    def of(self, conversation: Conversation) -> Window:
        """Return the window of a conversation; one that is closed anyway costs no read."""
        now = self.clock()
        untouched = window(conversation, [], now)
        if not untouched.open:
            return untouched
        since = min(filter(None, (conversation.messaged_at, conversation.entered_at)))
        sent = self.messages.sent_at(conversation.business_id, conversation.openid, since=since)
        return window(conversation, sent, now)
