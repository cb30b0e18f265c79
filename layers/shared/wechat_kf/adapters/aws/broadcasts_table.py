"""Accepted broadcasts, next to their messages: one item each, under an id no message can have."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from wechat_kf.adapters.aws.dynamo import Attributes, ConditionFailedError, Table, Value
from wechat_kf.adapters.aws.json_text import from_text, to_text
from wechat_kf.domain.clock import DAY, Clock
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.message import Guarantee

LEAST_DAYS = 7
"""How long a broadcast is kept when no message texts are (retention 0): as its messages' states."""


class BroadcastsTable:
    """Implements `BroadcastStore` in the messages table ."""

    def __init__(self, client: Any, table_name: str, retention_days: int, clock: Clock) -> None:
        self._table = Table(client, table_name)
        self._keep_text = retention_days > 0
        self._life = (retention_days or LEAST_DAYS) * DAY
        self._clock = clock

    def add(self, broadcast: Broadcast) -> Broadcast:
        """Store a new broadcast, or return the one that already has this id, unchanged."""
        item: dict[str, Value] = {
            **_key(broadcast.business_id, broadcast.broadcast_id),
            "openids": " ".join(broadcast.openids),
            "content": to_text(broadcast.content),
            "request_digest": broadcast.request_digest,
            "accepted_at": broadcast.accepted_at,
            "guarantee": broadcast.guarantee,
            "duplicates": broadcast.duplicates,
            "x": (broadcast.accepted_at + self._life) // 1000,
        }
        try:
            self._table.put(
                item,
                condition="attribute_not_exists(#c) OR #x <= :now",
                values={":now": self._clock() // 1000},
            )
        except ConditionFailedError as failed:
            if failed.old is None:
                raise
            return _broadcast(failed.old)
        return broadcast

    def get(self, business_id: str, broadcast_id: str) -> Broadcast | None:
        """One broadcast, until the end of its retention."""
        row = self._table.get(_key(business_id, broadcast_id))
        if row is None or row["x"] <= self._clock() // 1000:
            return None
        return _broadcast(row)

    def finish(self, business_id: str, broadcast_id: str) -> None:
        """Every message is made: the text goes where texts are not retained; repeats are fine."""
        if self._keep_text:
            return
        with suppress(ConditionFailedError):  # it is gone as a whole
            self._table.update(
                _key(business_id, broadcast_id),
                "REMOVE #content",
                {},
                condition="attribute_exists(#c)",
            )


def _key(business_id: str, broadcast_id: str) -> dict[str, str]:
    return {"c": f"broadcast#{business_id}#{broadcast_id}", "s": "-"}


def _broadcast(row: Attributes) -> Broadcast:
    _, business_id, broadcast_id = row["c"].split("#", 2)
    return Broadcast(
        broadcast_id=broadcast_id,
        business_id=business_id,
        openids=tuple(row["openids"].split(" ")),
        content=from_text(row.get("content", "{}")),
        request_digest=row["request_digest"],
        accepted_at=row["accepted_at"],
        guarantee=Guarantee(row["guarantee"]),
        duplicates=row["duplicates"],
    )
