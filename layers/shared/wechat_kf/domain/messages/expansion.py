"""Expand a broadcast into one outbound message per recipient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from wechat_kf.app_errors import RetryLater
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.events import Event
from wechat_kf.domain.messages.broadcasts import Broadcast, recipient_message_id
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Status,
    accept,
    outcome_event,
    settle,
)
from wechat_kf.domain.messages.ports import BulkQueue, KnownBuyers, OutboundStore
from wechat_kf.domain.messages.windows import NoConversationError

NO_CONVERSATION = Failure(NoConversationError.code, NoConversationError().detail)

_AT_ONCE = 100
"""Recipients handled together: as many as one read of their conversations takes."""

_WRITERS = 2
"""With 512 MB a write takes longer to make than to wait for: more would only crowd the table."""


class OutcomeQueue(Protocol):
    """Takes many events of one merchant on their way to the subscribers."""

    def put_all(self, events: Sequence[Event]) -> None:
        """Return only when all are safe. Raise `UnavailableError`."""


@dataclass(frozen=True, slots=True)
class Expander:
    """Creates and queues the messages of a broadcast. Safe to repeat from any point.

    WeChat refuses messages to buyers without a conversation, and each refusal costs a call of the
    account's daily quota: their messages are settled as failed here. With `buyers` None, WeChat
    decides.
    """

    store: OutboundStore
    queue: BulkQueue
    outcomes: OutcomeQueue
    buyers: KnownBuyers | None
    clock: Clock
    max_age_ms: int
    app_id: str

    def expand(self, broadcast: Broadcast, *, has_time: Callable[[], bool] = lambda: True) -> None:
        """Create and queue one message per recipient; existing messages stay as they are.

        A broadcast without its text was expanded before: nothing is left to do.

        Raises:
            RetryLater: there is no time for the rest of the recipients.
            UnavailableError: a message was not stored or queued.
        """
        if not broadcast.content:
            return
        with ThreadPoolExecutor(_WRITERS) as writers:
            for start in range(0, len(broadcast.openids), _AT_ONCE):
                if not has_time():
                    raise RetryLater(SECOND)
                new = self._make_messages(broadcast, broadcast.openids[start : start + _AT_ONCE])
                self._pass_on(list(writers.map(self.store.add, new)))

    def _make_messages(
        self, broadcast: Broadcast, openids: Sequence[str]
    ) -> Sequence[OutboundMessage]:
        known = self._find_known(broadcast.business_id, openids)
        return [self._make_message(broadcast, openid, openid in known) for openid in openids]

    def _find_known(self, business_id: str, openids: Sequence[str]) -> set[str]:
        return self.buyers.find_known(business_id, openids) if self.buyers else set(openids)

    def _make_message(self, broadcast: Broadcast, openid: str, known: bool) -> OutboundMessage:
        draft = OutboundMessage(
            broadcast.business_id,
            openid,
            broadcast.content,
            broadcast.guarantee,
            broadcast.broadcast_id,
            message_id=recipient_message_id(broadcast, openid),
            accepted_at=broadcast.accepted_at,
        )
        now = self.clock()
        message = accept(draft, now=now, max_age_ms=self.max_age_ms)
        return message if known else settle(message, NotSent(NO_CONVERSATION), now=now)

    def _pass_on(self, stored: Sequence[OutboundMessage]) -> None:
        """Queue what is to be sent, publish what failed; a repeat does so again, harmlessly."""
        self.queue.put_all(one for one in stored if one.status is Status.ACCEPTED)
        refused = [one for one in stored if one.failure == NO_CONVERSATION]
        if refused:
            self.outcomes.put_all([outcome_event(one, self.app_id) for one in refused])
