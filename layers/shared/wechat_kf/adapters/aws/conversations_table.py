"""The conversations table: when each buyer last acted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    ConditionFailedError,
    Query,
    Table,
    cursor,
    cursor_parts,
)
from wechat_kf.domain.clock import DAY, MINUTE
from wechat_kf.domain.events import Event
from wechat_kf.domain.messages.conversations import Conversation
from wechat_kf.domain.paging import Page

LIFE_MS = 90 * DAY
"""How long a conversation is remembered after the buyer's last action."""


class ConversationsTable:
    """Implements `ConversationStore`.

    Key: `business_id`, `openid`. Index `recent`: `business_id`, `active_minute`. Actions of one
    minute do not move an item in the index, which would cost two write units each.
    """

    def __init__(self, client: Any, table_name: str) -> None:
        self._table = Table(client, table_name)

    def record_message(self, business_id: str, openid: str, at_ms: int) -> None:
        """The buyer wrote at `at_ms`; an older or repeated report changes nothing."""
        self._record("messaged_at", _key(business_id, openid), at_ms)

    def record_entry(self, business_id: str, openid: str, at_ms: int) -> None:
        """The buyer entered at `at_ms`; an older or repeated report changes nothing."""
        self._record("entered_at", _key(business_id, openid), at_ms)

    def get(self, business_id: str, openid: str, *, consistent: bool = True) -> Conversation | None:
        """Return the conversation, or None when the buyer never acted."""
        row = self._table.get(_key(business_id, openid), consistent=consistent)
        return _conversation(row) if row else None

    def recent(self, business_id: str, *, limit: int, cursor: str | None) -> Page[Conversation]:
        """Return a merchant's conversations, the last active first (to the minute).

        Raises InvalidRequestError for a cursor that is not ours.
        """
        keys, end = self._table.query(
            Query(
                "#business_id = :business_id",
                {":business_id": business_id},
                index="recent",
                limit=limit,
                start=_start(business_id, cursor) if cursor else None,
                newest_first=True,
            )
        )
        wanted = [_key(business_id, key["openid"]) for key in keys]
        rows = self._table.get_many(wanted) if wanted else []
        found = sorted(map(_conversation, rows), key=lambda one: one.active_at, reverse=True)
        return Page(found, _next_cursor(end))

    def find_known(self, business_id: str, openids: Sequence[str]) -> set[str]:
        """Return those of the buyers (100 at most) who have a conversation."""
        keys = [{"business_id": business_id, "openid": openid} for openid in openids]
        return {row["openid"] for row in self._table.get_many(keys, consistent=True)}

    def reserve_greeting(
        self, event: Event, *, now: int, silent_since: int, ungreeted_since: int
    ) -> bool:
        """Reserve the greeting of one entry and return whether it may be sent."""
        silent = "(attribute_not_exists(#messaged_at) OR #messaged_at <= :silent_since)"
        due = "(attribute_not_exists(#greeted_at) OR #greeted_at <= :ungreeted_since)"
        ours = "#greeted_for = :event_id"
        try:
            self._table.update(
                {"business_id": event.business_id, "openid": event.openid},
                "SET #greeted_at = :now, #greeted_for = :event_id",
                {
                    ":now": now,
                    ":event_id": event.id,
                    ":silent_since": silent_since,
                    ":ungreeted_since": ungreeted_since,
                },
                condition=f"attribute_exists(#business_id) AND ({ours} OR ({silent} AND {due}))",
            )
        except ConditionFailedError:
            return False
        return True

    def _record(self, instant: str, key: dict[str, str], at_ms: int) -> None:
        newer = f"(attribute_not_exists(#{instant}) OR #{instant} < :at)"
        latest = "(attribute_not_exists(#active_minute) OR #active_minute <= :minute)"
        try:
            self._table.update(
                key,
                f"SET #{instant} = :at, #active_minute = :minute, #expires_at = :expires_at",
                {
                    ":at": at_ms,
                    ":minute": at_ms // MINUTE,
                    ":expires_at": (at_ms + LIFE_MS) // 1000,
                },
                condition=f"{newer} AND {latest}",
            )
        except ConditionFailedError as failed:
            if failed.old and failed.old.get(instant, 0) < at_ms:
                self._record_late(instant, key, at_ms)

    def _record_late(self, instant: str, key: dict[str, str], at_ms: int) -> None:
        """Record an action that came before the other kind's, but was reported after it."""
        newer = f"attribute_not_exists(#{instant}) OR #{instant} < :at"
        try:
            self._table.update(key, f"SET #{instant} = :at", {":at": at_ms}, condition=newer)
        except ConditionFailedError:
            return


def _key(business_id: str, openid: str) -> dict[str, str]:
    return {"business_id": business_id, "openid": openid}


def _conversation(row: Attributes) -> Conversation:
    return Conversation(
        row["business_id"], row["openid"], row.get("messaged_at", 0), row.get("entered_at", 0)
    )


def _start(business_id: str, text: str) -> dict[str, str | int]:
    openid, minute = cursor_parts(text, str, int)
    return {**_key(business_id, openid), "active_minute": minute}


def _next_cursor(end: Attributes | None) -> str | None:
    return cursor(end["openid"], end["active_minute"]) if end else None
