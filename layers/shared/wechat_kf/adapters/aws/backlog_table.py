"""The backlog table: what waits for subscribers outside the queue, and what is dead.

One partition per subscription (`business_id#subscription_id`), and in it by `entry`:

    attempt#<time>#<event>           a failed attempt, kept for some days
    count#<n>                        how many events of some lanes wait: there while parking is on
    dead#<queued at>#<lane>#<position>   an event that was given up, kept for two weeks
    done#<lane>#<position>           an event that was delivered, kept for an hour
    recovery                         from when on dead events are to be revived
    wait#<lane>#<position>           an event that waits

The counts are spread over several items, so that parkings side by side do not cancel each other's
transactions. One more partition, `parked`, lists the subscriptions that have a backlog.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.adapters.aws.delivery_body import delivery_from_body, delivery_to_body
from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    ConditionFailedError,
    Part,
    Query,
    Table,
    Value,
    encode,
    transact,
)
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.subscriptions.backlog import (
    DEAD_KEPT_MS,
    DONE_KEPT_MS,
    BacklogSize,
    Parked,
    Place,
)
from wechat_kf.domain.subscriptions.delivery import RETENTION_MS, Delivery
from wechat_kf.domain.subscriptions.subscription import SubscriptionKey

COUNTS: Final = 8
_COUNTS: Final = tuple(f"count#{number}" for number in range(COUNTS))
PARKED: Final = "parked"
RECOVERY: Final = "recovery"

_MOST_DEAD_COUNTED = 1_000
_POSITION_DIGITS = 40
_PAGE = 1_000
_DELETED_AT_ONCE = 25
_PLACE = ("entry", "event_id", "tried_since", "tried_at")


class BacklogTable:
    """Implements `BacklogStore`. Key: `subscription`, `entry`."""

    def __init__(
        self,
        client: Any,
        table_name: str,
        subscriptions_table_name: str,
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = Table(client, table_name)
        self._subscriptions = Table(client, subscriptions_table_name)
        self._pause = pause

    def open(self, key: SubscriptionKey, now: int) -> None:
        self._write(
            self._subscriptions.part(
                "Update",
                _row_key(key),
                change="SET #parking_since = :now",
                values={":now": now},
                condition="attribute_exists(#subscription_id)"
                " AND attribute_not_exists(#parking_since)",
            ),
            self._table.part("Put", _registration(key)),
            *(self._put(_key(key, count), {"waiting": 0, "since": now}) for count in _COUNTS),
        )

    def close(self, key: SubscriptionKey) -> bool:
        nothing = "attribute_not_exists(#waiting) OR #waiting = :none"
        failed = self._write(
            self._subscriptions.part(
                "Update",
                _row_key(key),
                change="REMOVE #parking_since",
                condition="attribute_exists(#subscription_id)",
            ),
            self._table.part("Delete", _registration(key)),
            self._table.part(
                "ConditionCheck", _key(key, RECOVERY), condition="attribute_not_exists(#entry)"
            ),
            *(
                self._table.part("Delete", _key(key, count), condition=nothing, values={":none": 0})
                for count in _COUNTS
            ),
        )
        return not failed

    def park(self, parked: Parked, since: int) -> bool:
        failed = self._write(
            self._count(parked, 1, "#since = :since", {":since": since}),
            self._table.part(
                "Put", _waiting_item(parked), condition="attribute_not_exists(#entry)"
            ),
        )
        return 0 not in failed

    def holds(self, key: SubscriptionKey, lane: str) -> bool:
        return bool(self._lane(key, lane, only=("entry",)))

    def head(self, key: SubscriptionKey, lane: str) -> Parked | None:
        rows = self._lane(key, lane)
        return _parked(rows[0]) if rows else None

    def note(self, parked: Parked) -> None:
        values: dict[str, Value] = {
            ":tried_since": parked.tried_since,
            ":tried_at": parked.tried_at,
            ":refused_since": parked.refused_since,
        }
        with suppress(ConditionFailedError):
            self._table.update(
                _key(parked.delivery.key, _waiting_entry(parked)),
                "SET #tried_since = :tried_since, #tried_at = :tried_at,"
                " #refused_since = :refused_since",
                values,
                condition="attribute_exists(#entry)",
            )

    def remove(self, parked: Parked, now: int) -> None:
        done = _key(parked.delivery.key, _done_entry(parked.delivery))
        self._write(
            self._take(parked, _waiting_entry(parked)),
            self._put(done, {"delete_at_seconds": (now + DONE_KEPT_MS) // SECOND}),
            self._count(parked, -1),
        )

    def is_done(self, delivery: Delivery) -> bool:
        return self._table.get(_key(delivery.key, _done_entry(delivery))) is not None

    def bury(self, parked: Parked, reason: str, now: int) -> None:
        delete_at = (now + DEAD_KEPT_MS) // SECOND
        dead = {**_event(parked), "reason": reason, "delete_at_seconds": delete_at}
        self._write(
            self._take(parked, _waiting_entry(parked)),
            self._put(_key(parked.delivery.key, _dead_entry(parked)), dead),
            self._count(parked, -1),
        )

    def heads(
        self, key: SubscriptionKey, after: str, limit: int
    ) -> tuple[Sequence[Place], str | None]:
        found: list[Place] = []
        while len(found) < limit:
            first = f"wait#{after}~" if after else "wait#"
            rows, end = self._page(key, first, "wait~", only=_PLACE, limit=_PAGE)
            for row in rows:
                place = _place(row)
                if place.lane != after:
                    found.append(place)
                    after = place.lane
            if end is None:
                return found, None
        return found, after

    def expired(self, key: SubscriptionKey, now: int, limit: int) -> Sequence[Parked]:
        rows, _ = self._table.query(
            Query(
                "#subscription = :subscription AND #expires_at <= :now",
                {":subscription": _partition(key), ":now": now},
                index="by_age",
                limit=limit,
            )
        )
        items = (self._table.get(_key(key, row["entry"])) for row in rows)
        return [_parked(item) for item in items if item]

    def ask_recovery(self, key: SubscriptionKey, since: int) -> None:
        self._table.put({**_key(key, RECOVERY), "since": since})

    def revive(self, key: SubscriptionKey, now: int, limit: int) -> bool:
        asked = self._table.get(_key(key, RECOVERY))
        if asked is None:
            return False
        start = f"dead#{asked['since']:013d}"
        rows, more = self._page(key, start, "dead~", limit=limit)
        for row in rows:
            dead = _parked(row)
            self._write(
                self._take(dead, row["entry"]),
                self._table.part("Put", _waiting_item(dead.revive(now))),
                self._count(dead, 1),
            )
        if more is None:
            self._table.delete(_key(key, RECOVERY))
        return bool(rows)

    def drop(self, key: SubscriptionKey) -> None:
        partition = _partition(key)
        while True:
            rows, end = self._table.query(
                Query(
                    "#subscription = :subscription",
                    {":subscription": partition},
                    limit=_PAGE,
                    only=("subscription", "entry"),
                    consistent=True,
                )
            )
            self._delete(rows)
            if end is None:
                break
        self._table.delete(_registration(key))

    def parked_subscriptions(self) -> Sequence[SubscriptionKey]:
        rows = self._table.query_all(Query("#subscription = :parked", {":parked": PARKED}))
        return [_read_partition(row["entry"]) for row in rows]

    def size(self, key: SubscriptionKey) -> BacklogSize:
        counts, _ = self._page(key, "count#", "count~")
        waiting = sum(row["waiting"] for row in counts)
        dead, _ = self._page(
            key, "dead#", "dead~", only=("entry",), limit=_MOST_DEAD_COUNTED, consistent=False
        )
        oldest = self._oldest(key) if waiting else 0
        return BacklogSize(max(0, waiting), oldest, len(dead))

    def _oldest(self, key: SubscriptionKey) -> int:
        rows, _ = self._table.query(
            Query(
                "#subscription = :subscription",
                {":subscription": _partition(key)},
                index="by_age",
                limit=1,
            )
        )
        return int(rows[0]["expires_at"]) - RETENTION_MS if rows else 0

    def _lane(
        self, key: SubscriptionKey, lane: str, only: Sequence[str] = ()
    ) -> Sequence[Attributes]:
        """The first of a lane's events, if there is one."""
        rows, _ = self._page(key, f"wait#{lane}#", f"wait#{lane}#~", only=only, limit=1)
        return rows

    def _page(  # noqa: PLR0913 - all but three are keywords
        self,
        key: SubscriptionKey,
        first: str,
        last: str,
        *,
        only: Sequence[str] = (),
        limit: int | None = None,
        consistent: bool = True,
    ) -> tuple[Sequence[Attributes], Attributes | None]:
        return self._table.query(
            Query(
                "#subscription = :subscription AND #entry BETWEEN :first AND :last",
                {":subscription": _partition(key), ":first": first, ":last": last},
                limit=limit,
                only=only,
                consistent=consistent,
            )
        )

    def _delete(self, rows: Sequence[Attributes]) -> None:
        for start in range(0, len(rows), _DELETED_AT_ONCE):
            requests = [
                {"DeleteRequest": {"Key": encode(row)}}
                for row in rows[start : start + _DELETED_AT_ONCE]
            ]
            with as_unavailable("DynamoDB"):
                answer = self._client.batch_write_item(RequestItems={self._table.name: requests})
            if answer.get("UnprocessedItems"):
                raise UnavailableError("DynamoDB did not delete everything that was asked for")

    # -- transactions

    def _write(self, *parts: Part) -> Collection[int]:
        """Write all, or nothing and return which conditions failed."""
        return transact(self._client, parts, self._pause)

    def _put(self, key: Mapping[str, Value], values: Mapping[str, Value]) -> Part:
        return self._table.part("Put", {**key, **values})

    def _take(self, parked: Parked, entry: str) -> Part:
        """Delete an event that must be there."""
        key = _key(parked.delivery.key, entry)
        return self._table.part("Delete", key, condition="attribute_exists(#entry)")

    def _count(
        self,
        parked: Parked,
        change: int,
        condition: str = "attribute_exists(#since)",
        values: Mapping[str, Value] | None = None,
    ) -> Part:
        """Change the count of an event's lanes, while parking is on."""
        number = int(parked.delivery.lane[:2], 16) % COUNTS
        return self._table.part(
            "Update",
            _key(parked.delivery.key, _COUNTS[number]),
            change="ADD #waiting :change",
            condition=condition,
            values={":change": change, **(values or {})},
        )


def _partition(key: SubscriptionKey) -> str:
    return "#".join(key)


def _read_partition(text: str) -> SubscriptionKey:
    business_id, _, subscription_id = text.partition("#")
    return business_id, subscription_id


def _row_key(key: SubscriptionKey) -> dict[str, Value]:
    return {"business_id": key[0], "subscription_id": key[1]}


def _key(key: SubscriptionKey, entry: str) -> dict[str, Value]:
    return {"subscription": _partition(key), "entry": entry}


def _registration(key: SubscriptionKey) -> dict[str, Value]:
    return {"subscription": PARKED, "entry": _partition(key)}


def _spot(delivery: Delivery) -> str:
    return f"{delivery.lane}#{delivery.position.zfill(_POSITION_DIGITS)}"


def _waiting_entry(parked: Parked) -> str:
    return f"wait#{_spot(parked.delivery)}"


def _done_entry(delivery: Delivery) -> str:
    return f"done#{_spot(delivery)}"


def _dead_entry(parked: Parked) -> str:
    return f"dead#{parked.delivery.queued_at:013d}#{_spot(parked.delivery)}"


def _event(parked: Parked) -> dict[str, Value]:
    delivery = parked.delivery
    return {
        "body": delivery_to_body(delivery),
        "position": delivery.position,
        "event_id": delivery.event.id,
    }


def _waiting_item(parked: Parked) -> dict[str, Any]:
    return {
        **_key(parked.delivery.key, _waiting_entry(parked)),
        **_event(parked),
        "expires_at": parked.expires_at,
        "tried_since": parked.tried_since,
        "tried_at": parked.tried_at,
        "refused_since": parked.refused_since,
    }


def _parked(row: Attributes) -> Parked:
    """Read a waiting event, or a dead one."""
    return Parked(
        delivery=delivery_from_body(row["body"], row["position"]),
        expires_at=row.get("expires_at", 0),
        tried_since=row.get("tried_since", 0),
        tried_at=row.get("tried_at", 0),
        refused_since=row.get("refused_since", 0),
    )


def _place(row: Attributes) -> Place:
    lane = row["entry"].split("#")[1]
    return Place(lane, row["event_id"], row["tried_since"], row["tried_at"])
