"""The send window of one conversation, as far as we can know it.

WeChat decides (45015, 45047); what we compute is advice for an agent's screen and never blocks a
send (docs/wechat-api.md, section 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wechat_kf.domain.clock import HOUR, MINUTE

MESSAGE_ALLOWANCE, MESSAGE_LIFE_MS = 5, 48 * HOUR
ENTRY_ALLOWANCE, ENTRY_LIFE_MS = 2, MINUTE


@dataclass(frozen=True, slots=True)
class Conversation:
    """What the buyer last did: WeChat's CreateTime in epoch milliseconds, 0 for never."""

    business_id: str
    openid: str
    messaged_at: int = 0
    entered_at: int = 0

    @property
    def active_at(self) -> int:
        """The buyer's last action of either kind."""
        return max(self.messaged_at, self.entered_at)


@dataclass(frozen=True, slots=True)
class Window:
    """Advice: may we still send, until when (epoch ms, 0 = closed), and how many messages."""

    open: bool
    until: int
    remaining: int


CLOSED = Window(open=False, until=0, remaining=0)


def window(conversation: Conversation, sent_at: Sequence[int], now: int) -> Window:
    """Return the window at `now`, given when messages were sent (epoch ms, any order).

    The allowances of two actions do not add up: the larger remainder and the later end count.
    """
    grants = (
        (conversation.messaged_at, MESSAGE_ALLOWANCE, MESSAGE_LIFE_MS),
        (conversation.entered_at, ENTRY_ALLOWANCE, ENTRY_LIFE_MS),
    )
    live = [(at, count, at + life) for at, count, life in grants if at and now < at + life]
    if not live:
        return CLOSED
    left = max(count - sum(sent >= at for sent in sent_at) for at, count, _ in live)
    return Window(open=left > 0, until=max(end for _, _, end in live), remaining=max(0, left))
