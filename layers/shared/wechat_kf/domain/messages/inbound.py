"""Handle a pushed event: deliver it to its subscribers and record it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import Event, EventQueue, EventType
from wechat_kf.domain.messages.ports import ConversationStore


class Transcript(Protocol):
    """The messages of conversations, kept for a while."""

    def keep(self, event: Event) -> None:
        """Keep a received message; the same event twice is kept once."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """Handles one event of the inbound queue. Safe to repeat.

    A table that is unavailable holds up no delivery: what could not be recorded is queued again in
    `unrecorded`, to be recorded only. Otherwise a repeat after more than five minutes, when SQS no
    longer recognizes it, would deliver the event twice.
    """

    conversations: ConversationStore
    transcript: Transcript
    subscribers: EventQueue
    unrecorded: EventQueue

    def handle(self, event: Event) -> None:
        """Deliver and record an event.

        The conversation is recorded before the delivery, because a subscriber that replies
        immediately needs it; the transcript after it. Raise `UnavailableError`.
        """
        recorded = _attempt(self._record_activity, event)
        self.subscribers.put(event)
        recorded = _attempt(self._keep_message, event) and recorded
        if not recorded:
            self.unrecorded.put(event)

    def record(self, event: Event) -> None:
        """Record an event that was delivered before. Raise `UnavailableError`."""
        self._record_activity(event)
        self._keep_message(event)

    def _record_activity(self, event: Event) -> None:
        if event.type == EventType.MESSAGE_RECEIVED:
            self.conversations.record_message(event.business_id, event.openid, event.at_ms)
        elif event.type == EventType.SESSION_ENTERED:
            self.conversations.record_entry(event.business_id, event.openid, event.at_ms)

    def _keep_message(self, event: Event) -> None:
        if event.type == EventType.MESSAGE_RECEIVED:
            self.transcript.keep(event)


def _attempt(record: Callable[[Event], None], event: Event) -> bool:
    try:
        record(event)
    except UnavailableError:
        return False
    return True
