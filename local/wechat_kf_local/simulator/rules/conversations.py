"""What a buyer sees, and what may be sent to them (docs/wechat-api.md, sections 5 and 6)."""

from dataclasses import dataclass, field
from typing import Any, Final

from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.settings import Settings

MAIN_ACCOUNT: Final = 0
"""The business id under which conversations with the Mini Program itself are kept."""

TYPING_SECONDS: Final = 15
EXCHANGE_SECONDS: Final = 30
TRANSFER_SECONDS: Final = 30 * 60


@dataclass(frozen=True, slots=True)
class Grant:
    """What a buyer's action allows: so many messages for so long."""

    messages: int
    seconds: int


ON_MESSAGE: Final = Grant(5, 48 * 3600)
ON_ENTER: Final = Grant(2, 60)


@dataclass(slots=True)
class Window:
    """What may still be sent."""

    remaining: int = 0
    deadline: float = 0.0

    def grant(self, grant: Grant, now: float) -> None:
        """Grants never add up: the larger count and the later deadline apply."""
        still = self.remaining if now < self.deadline else 0
        self.remaining = max(still, grant.messages)
        self.deadline = max(self.deadline, now + grant.seconds)

    def check(self, now: float) -> None:
        """Raises Refused when nothing may be sent."""
        if now >= self.deadline:
            raise Refused(45015)
        if self.remaining < 1:
            raise Refused(45047)


@dataclass(frozen=True, slots=True)
class Shown:
    """One message on a buyer's phone; `sender` is buyer, merchant or notice."""

    message_id: str
    time: float
    sender: str
    msgtype: str
    content: dict[str, Any]
    ai_generated: bool = False

    @property
    def text(self) -> str | None:
        return str(self.content["content"]) if self.msgtype in ("text", "notice") else None


@dataclass(slots=True)
class Conversation:
    """One buyer with one sub-merchant, or with the main account."""

    openid: str
    business_id: int
    messages: list[Shown] = field(default_factory=list)
    last_exchange: float = float("-inf")
    typing_until: float = 0.0
    transferred_until: float = 0.0


class Conversations:
    """All conversations and their windows."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._buyers: dict[str, dict[int, Conversation]] = {}
        self._windows: dict[tuple[str, int | None], Window] = {}

    @property
    def buyers(self) -> list[str]:
        return list(self._buyers)

    def add_buyer(self, openid: str) -> None:
        self._buyers.setdefault(openid, {})

    def check_buyer(self, openid: str) -> None:
        """Raises Refused unless a buyer has this OpenID."""
        if openid not in self._buyers:
            raise Refused(40003)

    def of_buyer(self, openid: str) -> list[Conversation]:
        return list(self._buyers.get(openid, {}).values())

    def get(self, openid: str, business_id: int) -> Conversation:
        with_buyer = self._buyers.setdefault(openid, {})
        return with_buyer.setdefault(business_id, Conversation(openid, business_id))

    def window(self, openid: str, business_id: int) -> Window:
        per_user = self._settings.window_scope == "user"
        return self._windows.setdefault((openid, None if per_user else business_id), Window())

    def enter(self, openid: str, business_id: int) -> Conversation:
        return self._act(openid, business_id, ON_ENTER)

    def say(self, openid: str, business_id: int, message: Shown) -> Conversation:
        """The buyer sends a message."""
        conversation = self._act(openid, business_id, ON_MESSAGE)
        conversation.messages.append(message)
        return conversation

    def send(self, openid: str, business_id: int, message: Shown) -> None:
        """The server sends a message, which ends the typing state. Raises Refused."""
        window = self.window(openid, business_id)
        window.check(self._clock.now())
        window.remaining -= 1
        conversation = self.get(openid, business_id)
        conversation.messages.append(message)
        conversation.last_exchange = self._clock.now()
        conversation.typing_until = 0.0

    def type(self, openid: str, business_id: int) -> None:
        """Show the typing state. Raises Refused."""
        now = self._clock.now()
        self.window(openid, business_id).check(now)
        conversation = self.get(openid, business_id)
        if now < conversation.typing_until:
            raise Refused(45081)
        if now - conversation.last_exchange > EXCHANGE_SECONDS:
            raise Refused(45080)
        conversation.typing_until = now + TYPING_SECONDS

    def cancel_typing(self, openid: str, business_id: int) -> None:
        self.window(openid, business_id).check(self._clock.now())
        self.get(openid, business_id).typing_until = 0.0

    def reset(self) -> None:
        self._buyers.clear()
        self._windows.clear()

    def _act(self, openid: str, business_id: int, grant: Grant) -> Conversation:
        now = self._clock.now()
        self.window(openid, business_id).grant(grant, now)
        conversation = self.get(openid, business_id)
        conversation.last_exchange = now
        return conversation
