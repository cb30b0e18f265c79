"""The welcome message: in time, rarely, only where it costs no reply, only from who wants it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import (
    FakeClock,
    InMemoryConversations,
    InMemoryMerchants,
    InMemoryMessages,
    RecordingOutbound,
    ignore_report,
)
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStatus
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.conversations import window
from wechat_kf.domain.messages.message import OutboundMessage
from wechat_kf.domain.messages.welcome import WELCOME_LIFE_MS, Welcome

GREETING = "您好，欢迎光临！"
SHOP = Merchant("42", "shop_0042", "苹果旗舰店", welcome_message=GREETING)


class CountingMerchants(InMemoryMerchants):
    """Counts the reads, which ordinary messages must not cost."""

    reads = 0

    def get(self, business_id: str) -> Merchant | None:
        self.reads += 1
        return super().get(business_id)


@dataclass
class House:
    clock: FakeClock = field(default_factory=FakeClock)
    merchants: CountingMerchants = field(default_factory=CountingMerchants)
    conversations: InMemoryConversations = field(default_factory=InMemoryConversations)
    queue: RecordingOutbound = field(default_factory=RecordingOutbound)
    entries: int = 0

    def __post_init__(self) -> None:
        self.store = InMemoryMessages(30, self.clock)
        acceptance = Acceptance(self.store, self.queue, self.clock, WELCOME_LIFE_MS, ignore_report)
        self.welcome = Welcome(self.merchants, self.conversations, acceptance, self.clock)

    def entered(self, business_id: str = "42", openid: str = "buyer") -> Event:
        """A new entry, recorded as the inbound function records it before it greets."""
        self.entries += 1
        self.conversations.record_entry(business_id, openid, self.clock())
        return Event(
            f"e{self.entries}",
            EventType.SESSION_ENTERED,
            "wx1",
            business_id,
            openid,
            self.clock(),
            {},
        )

    def enter(self, openid: str = "buyer") -> None:
        self.welcome.greet(self.entered(openid=openid))

    def write(self) -> None:
        self.conversations.record_message("42", "buyer", self.clock())

    def sent(self) -> list[OutboundMessage]:
        found = [self.store.get(*names) for names in self.queue.messages]
        return [message for message in found if message]


@pytest.fixture
def house() -> House:
    house = House()
    house.merchants.add(SHOP)
    return house


def test_a_buyer_who_enters_is_greeted(house: House) -> None:
    house.enter()
    (message,) = house.sent()
    assert (message.business_id, message.openid) == ("42", "buyer")
    assert message.content == {"type": "text", "text": GREETING}
    assert message.expires_at == house.clock() + MINUTE


def test_a_repeat_greets_no_second_time_even_with_another_text(house: House) -> None:
    event = house.entered()
    house.welcome.greet(event)
    house.merchants.update(SHOP, replace(SHOP, welcome_message="新的"))
    house.welcome.greet(event)
    assert [message.content["text"] for message in house.sent()] == [GREETING]


def test_a_buyer_who_enters_again_and_again_is_greeted_once_a_day(house: House) -> None:
    for _ in range(5):
        house.enter()
        house.clock.advance(MINUTE)
    assert len(house.sent()) == 1
    house.clock.advance(DAY - 5 * MINUTE - SECOND)
    house.enter()
    assert len(house.sent()) == 1
    house.clock.advance(SECOND)
    house.enter()
    assert len(house.sent()) == 2


def test_every_buyer_is_greeted(house: House) -> None:
    house.enter("one")
    house.enter("two")
    assert {message.openid for message in house.sent()} == {"one", "two"}


def test_a_buyer_who_waits_for_a_reply_is_not_greeted(house: House) -> None:
    """A buyer asks and re-enters five times while waiting: no greeting uses up a reply."""
    house.write()
    for _ in range(5):
        house.clock.advance(MINUTE)
        house.enter()
    assert house.sent() == []
    conversation = house.conversations.get("42", "buyer")
    assert conversation
    assert window(conversation, [], house.clock()).remaining == 5


def test_a_greeted_buyer_who_then_asks_leaves_four_replies_of_five(house: House) -> None:
    house.enter()
    for _ in range(5):
        house.clock.advance(SECOND)
        house.write()
        house.enter()
    sent = [message.accepted_at for message in house.sent()]
    conversation = house.conversations.get("42", "buyer")
    assert conversation
    assert len(sent) == 1
    assert window(conversation, sent, house.clock()).remaining >= 4


def test_a_buyer_whose_window_has_closed_is_greeted(house: House) -> None:
    house.write()
    house.clock.advance(48 * HOUR - SECOND)
    house.enter()
    assert house.sent() == []
    house.clock.advance(SECOND)
    house.enter()
    assert len(house.sent()) == 1


def test_a_late_greeting_is_not_sent(house: House) -> None:
    early, late = house.entered(openid="one"), house.entered(openid="two")
    house.clock.advance(MINUTE - SECOND)
    house.welcome.greet(early)
    assert len(house.sent()) == 1
    house.clock.advance(SECOND)
    house.welcome.greet(late)
    assert len(house.sent()) == 1


@pytest.mark.parametrize(
    "changes", [{"welcome_message": None}, {"status": MerchantStatus.INACTIVE}]
)
def test_a_merchant_that_wants_no_greeting_sends_none(
    house: House, changes: dict[str, str]
) -> None:
    house.merchants.update(SHOP, replace(SHOP, **changes))  # type: ignore[arg-type]
    house.enter()
    assert house.sent() == []


def test_the_main_account_and_unknown_merchants_send_no_greeting(house: House) -> None:
    house.welcome.greet(house.entered(MAIN_ACCOUNT))
    house.welcome.greet(house.entered("43"))
    assert house.sent() == []


def test_any_other_event_costs_no_read(house: House) -> None:
    for event_type in set(EventType) - {EventType.SESSION_ENTERED}:
        house.welcome.greet(replace(house.entered(), type=event_type))
    assert (house.merchants.reads, house.sent()) == (0, [])
