"""Everything the simulator knows, in one place."""

import time
from dataclasses import dataclass, fields
from random import Random

from wechat_kf_local.simulator.records import Records
from wechat_kf_local.simulator.rules.accounts import Accounts
from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.conversations import Conversations
from wechat_kf_local.simulator.rules.faults import Faults
from wechat_kf_local.simulator.rules.media import MediaStore
from wechat_kf_local.simulator.rules.quotas import Quotas
from wechat_kf_local.simulator.rules.tokens import Tokens
from wechat_kf_local.simulator.settings import Settings


class MessageIds:
    """Push message ids of 17 and more digits, beyond 2^53 as WeChat's are; never twice.

    They start from the time, so that a restarted simulator does not repeat ids that the system
    under test has seen.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._last = time.time_ns() // 64

    def next(self) -> int:
        self._last += self._random.randint(1, 1_000_000)
        return self._last


@dataclass(frozen=True, slots=True)
class World:
    """The Mini Program's state at WeChat, and the records of what happened."""

    settings: Settings
    clock: Clock
    random: Random
    tokens: Tokens
    media: MediaStore
    accounts: Accounts
    conversations: Conversations
    quotas: Quotas
    faults: Faults
    records: Records
    message_ids: MessageIds

    @classmethod
    def create(
        cls,
        settings: Settings | None = None,
        *,
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> "World":
        settings, clock = settings or Settings(), clock or Clock()
        # Ids must be repeatable with a seed, not unguessable.
        random = Random(seed)  # noqa: S311
        return cls(
            settings=settings,
            clock=clock,
            random=random,
            tokens=Tokens(settings, clock, random),
            media=MediaStore(settings, clock, random),
            accounts=Accounts(settings),
            conversations=Conversations(settings, clock),
            quotas=Quotas(settings, clock),
            faults=Faults(),
            records=Records(clock, random),
            message_ids=MessageIds(random),
        )

    def reset(self) -> None:
        """Forget everything but the settings; the clock shows the real time again."""
        self.clock.reset()
        for part in (self.tokens, self.media, self.accounts, self.conversations, self.quotas):
            part.reset()
        self.faults.clear()
        self.records.clear()

    def restore(self, settings: Settings) -> None:
        """Set every setting back to what it is in `settings`."""
        for item in fields(Settings):
            setattr(self.settings, item.name, getattr(settings, item.name))


def picture_url(base_url: str, media_id: str) -> str:
    """The link under which a picture can be seen, as long as the simulator runs."""
    return f"{base_url}/_sim/pictures/{media_id}"
