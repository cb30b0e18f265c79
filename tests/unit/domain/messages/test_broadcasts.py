"""A broadcast: what is accepted, and that its expansion can be repeated at any point."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import (
    FakeClock,
    InMemoryBroadcasts,
    InMemoryMessages,
    RecordingOutbound,
    ignore_report,
)
from wechat_kf.domain.clock import MINUTE
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcast, BroadcastRequest, Broadcasts, expand
from wechat_kf.domain.messages.message import Guarantee, OutboundMessage
from wechat_kf.errors import (
    IdempotencyKeyReusedError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)

TEXT = {"type": "text", "text": "您的订单已发货。"}


class Hall:
    """Everything around a broadcast, in memory."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.messages = InMemoryMessages(30, clock)
        self.queue = RecordingOutbound()
        self.broadcasts = Broadcasts(InMemoryBroadcasts(30, clock), self.messages, clock)
        self.acceptance = Acceptance(self.messages, self.queue, clock, 15 * MINUTE, ignore_report)

    def accept(self, *openids: str, **fields: Any) -> Broadcast:
        return self.broadcasts.accept(BroadcastRequest("42", openids, TEXT, **fields))


def test_recipients_are_distinct_and_keep_their_order() -> None:
    broadcast = Hall().accept("b", "a", "b", "c", "a")
    assert broadcast.openids == ("b", "a", "c")
    assert broadcast.duplicates == 2


def test_a_thousand_different_recipients_and_no_more() -> None:
    hall = Hall()
    thousand = [f"buyer{n}" for n in range(1000)]
    assert len(hall.accept(*thousand, *thousand).openids) == 1000
    with pytest.raises(InvalidRequestError):
        hall.accept(*thousand, "one more")
    with pytest.raises(InvalidRequestError):
        hall.accept()


def test_a_key_is_one_broadcast() -> None:
    hall = Hall()
    first = hall.accept("a", "b", idempotency_key="k")
    assert hall.accept("a", "b", idempotency_key="k") == first
    assert hall.accept("a", "b").broadcast_id != first.broadcast_id
    with pytest.raises(IdempotencyKeyReusedError):
        hall.accept("a", idempotency_key="k")
    with pytest.raises(NotFoundError):
        hall.broadcasts.get("43", first.broadcast_id)


def test_every_recipient_gets_a_message_of_the_broadcasts_kind() -> None:
    hall = Hall()
    broadcast = hall.accept("a", "b", guarantee=Guarantee.AT_LEAST_ONCE)
    expand(broadcast, hall.acceptance)
    page = hall.broadcasts.recipients(broadcast, start=0, limit=100)
    for recipient in page.items:
        message = recipient.message
        assert message is not None
        assert (message.openid, message.content) == (recipient.openid, TEXT)
        assert message.guarantee is Guarantee.AT_LEAST_ONCE
        assert message.broadcast_id == broadcast.broadcast_id
    assert page.next_cursor is None


def test_two_broadcasts_to_the_same_buyer_are_two_messages() -> None:
    hall = Hall()
    expand(hall.accept("a"), hall.acceptance)
    expand(hall.accept("a"), hall.acceptance)
    assert len(hall.queue.messages) == 2


@given(failures=st.sets(st.integers(0, 19)))
def test_repeated_after_any_failures_it_reaches_everybody_once(failures: set[int]) -> None:
    hall = Hall()
    broadcast = hall.accept(*(f"buyer{n}" for n in range(20)))

    class FlakyStore(InMemoryMessages):
        calls = 0

        def add(self, message: OutboundMessage) -> OutboundMessage:
            self.calls += 1
            if self.calls - 1 in failures:
                raise UnavailableError("the table does not answer")
            return super().add(message)

    clock = FakeClock()
    store = FlakyStore(30, clock)
    acceptance = Acceptance(store, hall.queue, clock, 15 * MINUTE, ignore_report)
    for _ in range(30):
        try:
            expand(broadcast, acceptance, workers=1)
        except UnavailableError:
            continue
        break
    assert len(hall.queue.messages) == 20
    assert Broadcasts(InMemoryBroadcasts(30, clock), store, clock).progress(broadcast) == {
        "accepted": 20
    }


def test_a_broadcast_whose_text_is_gone_was_expanded_before() -> None:
    hall = Hall()
    broadcast = hall.accept("a", "b")
    expand(broadcast, hall.acceptance)
    expand(replace(broadcast, content={}), hall.acceptance)
    assert hall.broadcasts.progress(broadcast) == {"accepted": 2}


def test_progress_counts_who_has_no_message_yet() -> None:
    hall = Hall()
    broadcast = hall.accept(*(f"buyer{n}" for n in range(150)))
    assert hall.broadcasts.progress(broadcast) == {"pending": 150}
