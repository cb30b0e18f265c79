"""What a conversation still takes."""

from __future__ import annotations

import pytest

from tests.fakes import FakeClock, InMemoryConversations, InMemoryMessages
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.message import OutboundMessage, Sent, accept, settle
from wechat_kf.domain.messages.windows import (
    MOST_UNSETTLED,
    ConversationFullError,
    NoConversationError,
    SendWindows,
)


class LaggingConversations(InMemoryConversations):
    """A cheap read sees nothing yet."""

    reads = 0

    def get(self, business_id: str, openid: str, *, consistent: bool = True) -> Conversation | None:
        self.reads += 1
        return super().get(business_id, openid) if consistent else None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def messages(clock: FakeClock) -> InMemoryMessages:
    return InMemoryMessages(30, clock)


def store_message(messages: InMemoryMessages, clock: FakeClock) -> OutboundMessage:
    draft = OutboundMessage("42", "buyer", {"type": "text", "text": "x"})
    return messages.add(accept(draft, now=clock(), max_age_ms=15 * MINUTE))


def test_who_never_wrote_or_entered_gets_nothing(
    messages: InMemoryMessages, clock: FakeClock
) -> None:
    conversations = InMemoryConversations()
    windows = SendWindows(conversations, messages, clock)
    assert isinstance(windows.look("42", "buyer").refusal, NoConversationError)
    conversations.record_entry("43", "buyer", clock())
    assert isinstance(windows.look("42", "buyer").refusal, NoConversationError)
    conversations.record_entry("42", "buyer", clock())
    assert windows.look("42", "buyer").refusal is None


def test_a_stack_may_send_to_anybody(messages: InMemoryMessages, clock: FakeClock) -> None:
    windows = SendWindows(InMemoryConversations(), messages, clock, require_conversation=False)
    standing = windows.look("42", "buyer")
    assert (standing.refusal, standing.conversation) == (None, Conversation("42", "buyer"))


def test_who_wrote_a_moment_ago_is_never_refused(
    messages: InMemoryMessages, clock: FakeClock
) -> None:
    conversations = LaggingConversations()
    conversations.record_message("42", "buyer", clock())
    conversations.reads = 0
    standing = SendWindows(conversations, messages, clock).look("42", "buyer")
    assert standing.refusal is None
    assert standing.conversation == Conversation("42", "buyer", messaged_at=clock())
    assert conversations.reads == 2


def test_a_conversation_takes_twenty_unsettled_messages(
    messages: InMemoryMessages, clock: FakeClock
) -> None:
    conversations = InMemoryConversations()
    conversations.record_message("42", "buyer", clock())
    windows = SendWindows(conversations, messages, clock)
    for _ in range(MOST_UNSETTLED):
        assert windows.look("42", "buyer").refusal is None
        last = store_message(messages, clock)
    assert isinstance(windows.look("42", "buyer").refusal, ConversationFullError)
    claim = messages.claim("42", last.message_id, now=clock(), until=clock() + 1)
    assert claim.message is not None
    messages.finish(settle(claim.message, Sent(), now=clock()))
    assert windows.look("42", "buyer").refusal is None


def test_the_window_counts_what_was_sent_since_the_buyer_wrote(
    messages: InMemoryMessages, clock: FakeClock
) -> None:
    conversations = InMemoryConversations()
    windows = SendWindows(conversations, messages, clock)
    assert windows.find("42", "buyer") == Window(open=False, until=0, remaining=0)
    conversations.record_message("42", "buyer", clock())
    assert windows.find("42", "buyer").remaining == 5
    sent = store_message(messages, clock)
    claim = messages.claim("42", sent.message_id, now=clock(), until=clock() + 1)
    assert claim.message is not None
    messages.finish(settle(claim.message, Sent(), now=clock() + 1))
    assert windows.find("42", "buyer").remaining == 4


def test_the_refusals_say_what_is_wrong() -> None:
    full, nobody = ConversationFullError(), NoConversationError()
    assert (full.status, full.code) == (429, "conversation_full")
    assert full.detail == "20 messages of this conversation are unsettled"
    assert (nobody.status, nobody.code) == (409, "no_conversation")
    assert "never wrote" in nobody.detail
