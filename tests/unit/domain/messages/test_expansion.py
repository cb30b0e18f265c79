"""The expansion of a broadcast: a message for each recipient, however often it is repeated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import (
    FakeClock,
    InMemoryConversations,
    InMemoryMessages,
    RecordingEvents,
    RecordingOutbound,
)
from wechat_kf.app_errors import RetryLater, UnavailableError
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import EventType
from wechat_kf.domain.messages.broadcasts import Broadcast, recipient_message_id
from wechat_kf.domain.messages.expansion import Expander
from wechat_kf.domain.messages.message import (
    Guarantee,
    OutboundMessage,
    Status,
)

TEXT = {"type": "text", "text": "您的订单已发货。"}


def broadcast_to(*openids: str, broadcast_id: str = "b1") -> Broadcast:
    return Broadcast(
        broadcast_id, "42", openids, TEXT, "digest", FakeClock().now, Guarantee.AT_LEAST_ONCE
    )


BUYERS = tuple(f"buyer{number}" for number in range(250))


@dataclass
class Setting:
    """An expander with its surroundings in memory."""

    buyers: InMemoryConversations | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    queue: RecordingOutbound = field(default_factory=RecordingOutbound)
    events: RecordingEvents = field(default_factory=RecordingEvents)

    def __post_init__(self) -> None:
        self.messages = InMemoryMessages(30, self.clock)
        self.expander = Expander(
            store=self.messages,
            queue=self.queue,
            outcomes=self.events,
            buyers=self.buyers,
            clock=self.clock,
            max_age_ms=15 * MINUTE,
            app_id="wx1",
        )

    def message(self, broadcast: Broadcast, openid: str) -> OutboundMessage:
        message_id = recipient_message_id(broadcast, openid)
        message = self.messages.get("42", message_id)
        assert message
        return message


def test_every_recipient_gets_a_message_of_the_broadcasts_kind() -> None:
    setting = Setting()
    broadcast = broadcast_to(*BUYERS)
    setting.expander.expand(broadcast)
    assert len(setting.queue.messages) == 250
    for openid in BUYERS:
        message = setting.message(broadcast, openid)
        assert (message.openid, message.content, message.status) == (openid, TEXT, Status.ACCEPTED)
        assert message.guarantee is Guarantee.AT_LEAST_ONCE
        assert message.broadcast_id == "b1"
        assert message.expires_at == setting.clock() + 15 * MINUTE


def test_two_broadcasts_to_the_same_buyer_are_two_messages() -> None:
    setting = Setting()
    setting.expander.expand(broadcast_to("a", broadcast_id="b1"))
    setting.expander.expand(broadcast_to("a", broadcast_id="b2"))
    assert len(setting.queue.messages) == 2


@given(failures=st.sets(st.integers(0, 19)))
def test_repeated_after_any_failures_it_reaches_everyone_once(failures: set[int]) -> None:
    class FlakyQueue(RecordingOutbound):
        calls = 0

        def put_all(self, messages: Iterable[OutboundMessage]) -> None:
            for message in messages:
                self.calls += 1
                if self.calls - 1 in failures:
                    raise UnavailableError("the queue does not answer")
                self.put(message)

    setting = Setting(queue=FlakyQueue())
    broadcast = broadcast_to(*BUYERS[:20])
    for _ in range(30):
        try:
            setting.expander.expand(broadcast)
        except UnavailableError:
            continue
        break
    assert len(setting.queue.messages) == 20


def test_messages_that_moved_on_are_left_alone() -> None:
    setting = Setting()
    broadcast = broadcast_to("a", "b")
    setting.expander.expand(broadcast)
    now = setting.clock()
    setting.messages.claim("42", setting.message(broadcast, "a").message_id, now=now, until=now + 1)
    setting.queue.messages.clear()
    setting.queue._seen.clear()
    setting.expander.expand(broadcast)
    assert setting.queue.messages == [("42", setting.message(broadcast, "b").message_id)]


def test_a_broadcast_whose_text_is_gone_was_expanded_before() -> None:
    setting = Setting()
    setting.expander.expand(replace(broadcast_to("a", "b"), content={}))
    assert setting.queue.messages == []


def test_a_recipient_without_a_conversation_fails_without_a_call() -> None:
    buyers = InMemoryConversations()
    for openid in BUYERS[:200]:
        buyers.record_message("42", openid, 1_000)
    setting = Setting(buyers)
    broadcast = broadcast_to(*BUYERS)
    setting.expander.expand(broadcast)
    assert len(setting.queue.messages) == 200
    for openid in BUYERS[200:]:
        message = setting.message(broadcast, openid)
        assert message.status is Status.FAILED
        assert message.failure
        assert message.failure.code == "no_conversation"
        assert message.settled_at == setting.clock()
    events = list(setting.events.events.values())
    assert len(events) == 50
    assert {event.type for event in events} == {EventType.MESSAGE_FAILED}
    assert {event.openid for event in events} == set(BUYERS[200:])
    assert events[0].app_id == "wx1"
    assert events[0].data["error"]["code"] == "no_conversation"
    assert events[0].data["broadcast_id"] == "b1"


def test_an_outcome_that_could_not_be_published_is_published_by_the_repeat() -> None:
    setting = Setting(InMemoryConversations())
    setting.events.down = True
    with pytest.raises(UnavailableError):
        setting.expander.expand(broadcast_to("stranger"))
    setting.events.down = False
    setting.clock.advance(MINUTE)
    for _ in range(2):
        setting.expander.expand(broadcast_to("stranger"))
    assert len(setting.events.events) == 1


def test_an_expansion_that_runs_out_of_time_goes_on_in_the_next() -> None:
    setting = Setting()
    answers = iter([True, True, False])
    with pytest.raises(RetryLater) as later:
        setting.expander.expand(broadcast_to(*BUYERS), has_time=lambda: next(answers))
    assert later.value.delay_ms == SECOND
    assert len(setting.queue.messages) == 200
    setting.expander.expand(broadcast_to(*BUYERS))
    assert len(setting.queue.messages) == 250
