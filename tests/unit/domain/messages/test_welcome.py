"""The greeting of a buyer who enters: once, in time, and only from a merchant that wants it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from tests.fakes import FakeClock, InMemoryMerchants, InMemoryMessages, RecordingOutbound
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStatus
from wechat_kf.domain.messages.acceptance import Acceptance
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
    queue: RecordingOutbound = field(default_factory=RecordingOutbound)

    def __post_init__(self) -> None:
        self.store = InMemoryMessages(30, self.clock)
        acceptance = Acceptance(self.store, self.queue, self.clock, WELCOME_LIFE_MS)
        self.welcome = Welcome(self.merchants, acceptance, self.clock)

    def entered(self, business_id: str = "42", event_id: str = "e1") -> Event:
        return Event(
            event_id, EventType.SESSION_ENTERED, "wx1", business_id, "buyer", self.clock(), {}
        )

    def sent(self) -> list[OutboundMessage]:
        found = [self.store.get(*names) for names in self.queue.messages]
        return [message for message in found if message]


@pytest.fixture
def house() -> House:
    house = House()
    house.merchants.add(SHOP)
    return house


def test_a_buyer_who_enters_is_greeted(house: House) -> None:
    house.welcome.greet(house.entered())
    (message,) = house.sent()
    assert (message.business_id, message.openid) == ("42", "buyer")
    assert message.content == {"type": "text", "text": GREETING}
    assert message.expires_at == house.clock() + MINUTE


def test_a_repeat_greets_no_second_time_even_with_another_text(house: House) -> None:
    house.welcome.greet(house.entered())
    house.merchants.update(SHOP, replace(SHOP, welcome_message="新的"))
    house.welcome.greet(house.entered())
    assert [message.content["text"] for message in house.sent()] == [GREETING]


def test_who_enters_again_is_greeted_again(house: House) -> None:
    house.welcome.greet(house.entered(event_id="e1"))
    house.welcome.greet(house.entered(event_id="e2"))
    assert len(house.sent()) == 2


def test_a_late_greeting_is_none(house: House) -> None:
    event = house.entered()
    house.clock.advance(MINUTE - SECOND)
    house.welcome.greet(event)
    assert len(house.sent()) == 1
    house.clock.advance(SECOND)
    house.welcome.greet(replace(event, id="e2"))
    assert len(house.sent()) == 1


@pytest.mark.parametrize(
    "changes", [{"welcome_message": None}, {"status": MerchantStatus.INACTIVE}]
)
def test_who_wants_no_greeting_sends_none(house: House, changes: dict[str, str]) -> None:
    house.merchants.update(SHOP, replace(SHOP, **changes))  # type: ignore[arg-type]
    house.welcome.greet(house.entered())
    assert house.sent() == []


def test_the_main_account_and_strangers_greet_nobody(house: House) -> None:
    house.welcome.greet(house.entered(MAIN_ACCOUNT))
    house.welcome.greet(house.entered("43"))
    assert house.sent() == []


def test_any_other_event_costs_no_read(house: House) -> None:
    for event_type in set(EventType) - {EventType.SESSION_ENTERED}:
        house.welcome.greet(replace(house.entered(), type=event_type))
    assert (house.merchants.reads, house.sent()) == (0, [])
