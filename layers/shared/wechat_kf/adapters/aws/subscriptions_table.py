"""The subscriptions table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any

from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    ConditionFailedError,
    Query,
    Table,
    Value,
)
from wechat_kf.domain.subscriptions.circuit import MOST_SUSPECTS, Circuit, suspect_name
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionKey,
    SubscriptionStatus,
    Target,
    TargetType,
)

_CIRCUIT = (
    "failures",
    "failing_since",
    "trips",
    "open_until",
    "recovered_at",
    "gone_since",
    "gone_event",
)
"""`Circuit`'s members but its suspects: attributes of their own, absent while 0 or empty."""

_LAST_ERROR = ("last_error_at", "last_error_reason", "last_error_event_type")
_SET_LAST_ERROR = ", ".join(f"#{name} = :{name}" for name in _LAST_ERROR)

_PUBLIC = (
    "business_id",
    "subscription_id",
    "target_type",
    "address",
    "event_types",
    "status",
    "created_at",
    "previous_secret_until",
    "status_reason",
    "revision",
    *_CIRCUIT,
    "suspects",
    "parking_since",
    "slow_until",
    *_LAST_ERROR,
)
"""Everything but the secrets: a list never reads them."""


class SubscriptionsTable:
    """Implements `SubscriptionStore`. Key: `business_id`, `subscription_id`."""

    def __init__(self, client: Any, table_name: str) -> None:
        self._table = Table(client, table_name)

    def add(self, subscription: Subscription) -> None:
        circuit = {name: getattr(subscription.circuit, name) or None for name in _CIRCUIT}
        self._table.put(
            {
                **_key(subscription.business_id, subscription.subscription_id),
                **_members(subscription),
                "created_at": subscription.created_at,
                "revision": subscription.revision,
                **circuit,
                "suspects": subscription.circuit.suspects or None,
            }
        )

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        row = self._table.get(_key(business_id, subscription_id))
        return _subscription(row) if row else None

    def list(self, business_id: str) -> Sequence[Subscription]:
        owner = {":business_id": business_id}
        rows = self._table.query_all(Query("#business_id = :business_id", owner, only=_PUBLIC))
        return [_subscription(row) for row in rows]

    def remove(self, business_id: str, subscription_id: str) -> bool:
        # Look before: when the answer is lost, boto3's repeat finds nothing to delete.
        existed = self.get(business_id, subscription_id) is not None
        return self._table.delete(_key(business_id, subscription_id)) or existed

    def update(self, subscription: Subscription) -> bool:
        members = {**_members(subscription), "revision": subscription.revision + 1}
        known = {":known": subscription.revision}
        return self._change(subscription, "update_id", members, "#revision = :known", known)

    def note_failure(self, key: SubscriptionKey, error: LastError) -> None:
        self._set(key, f"SET {_SET_LAST_ERROR}", _last_error_values(error))

    def count_failure(
        self, key: SubscriptionKey, event_id: str, error: LastError
    ) -> Circuit | None:
        """A repeat of its own, after a lost answer, finds the event among the suspects."""
        known = Circuit()
        while not known.knows(event_id):
            try:
                return _circuit(self._add_suspect(key, suspect_name(event_id), known, error))
            except ConditionFailedError as failed:
                if failed.old is None:
                    return None
                known = _circuit(failed.old)
        self.note_failure(key, error)
        return known

    def _add_suspect(
        self, key: SubscriptionKey, suspect: str, known: Circuit, error: LastError
    ) -> Attributes:
        """Count a failure unless its event is known; forget the older half of a full list."""
        full = len(known.suspects) >= MOST_SUSPECTS
        names = [*known.suspects[-MOST_SUSPECTS // 2 :], suspect] if full else [suspect]
        room = "size(#suspects) >= :most"
        return self._table.update(
            _key(*key),
            f"ADD #failures :one SET {_SET_LAST_ERROR}, "
            "#failing_since = if_not_exists(#failing_since, :now), #suspects = "
            + (":names" if full else "list_append(if_not_exists(#suspects, :none), :names)"),
            {
                **_last_error_values(error),
                ":one": 1,
                ":now": error.at,
                ":names": names,
                ":none": None if full else (),
                ":suspect": suspect,
                ":most": MOST_SUSPECTS,
            },
            condition="attribute_exists(#subscription_id) AND NOT contains(#suspects, :suspect)"
            " AND " + (room if full else f"(attribute_not_exists(#suspects) OR NOT {room})"),
        )

    def mark_slow(self, key: SubscriptionKey, until: int) -> None:
        self._set(key, "SET #slow_until = :until", {":until": until})

    def _set(
        self, key: SubscriptionKey, change: str, values: Mapping[str, Value]
    ) -> Attributes | None:
        """Change a row; None when it is gone."""
        with suppress(ConditionFailedError):
            return self._table.update(
                _key(*key), change, values, condition="attribute_exists(#subscription_id)"
            )
        return None

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> bool:
        state = {name: getattr(circuit, name) or None for name in _CIRCUIT}
        seen = subscription.circuit.open_until or None
        condition = "#open_until = :seen" if seen else "attribute_not_exists(#open_until)"
        return self._change(subscription, "move_id", state, condition, {":seen": seen})

    def _change(
        self,
        subscription: Subscription,
        mark: str,
        state: Mapping[str, Value],
        condition: str,
        known: Mapping[str, Value],
    ) -> bool:
        """Set attributes, or remove those that are None, if `condition` holds; else return False.

        When the answer is lost, boto3 writes again: the attribute `mark` shows that the change that
        it meets is ours.
        """
        ours = token_hex(8)
        state = {**state, mark: ours}
        values = {f":{name}": value for name, value in state.items() if value is not None}
        kept = ", ".join(f"#{name} = :{name}" for name in state if state[name] is not None)
        removed = ", ".join(f"#{name}" for name in state if state[name] is None)
        try:
            self._table.update(
                _key(subscription.business_id, subscription.subscription_id),
                f"SET {kept}" + (f" REMOVE {removed}" if removed else ""),
                {**values, **known},
                condition=f"attribute_exists(#subscription_id) AND {condition}",
            )
        except ConditionFailedError as failed:
            return failed.old is not None and failed.old.get(mark) == ours
        return True


def _key(business_id: str, subscription_id: str) -> dict[str, str]:
    return {"business_id": business_id, "subscription_id": subscription_id}


def _members(subscription: Subscription) -> dict[str, Value]:
    """Return what a caller can change."""
    return {
        "target_type": subscription.target.type,
        "address": subscription.target.address,
        "event_types": sorted(subscription.event_types),
        "status": subscription.status,
        "status_reason": subscription.status_reason,
        "secrets": subscription.secrets,
        "previous_secret_until": subscription.previous_secret_until,
    }


def _subscription(row: Attributes) -> Subscription:
    return Subscription(
        business_id=row["business_id"],
        subscription_id=row["subscription_id"],
        target=Target(TargetType(row["target_type"]), row["address"]),
        event_types=frozenset(row["event_types"]),
        status=SubscriptionStatus(row["status"]),
        created_at=row["created_at"],
        secrets=tuple(row.get("secrets", ())),
        previous_secret_until=row["previous_secret_until"],
        status_reason=row["status_reason"],
        revision=row["revision"],
        circuit=_circuit(row),
        parking_since=row.get("parking_since", 0),
        slow_until=row.get("slow_until", 0),
        last_error=_last_error(row),
    )


def _circuit(row: Attributes) -> Circuit:
    empty = Circuit()
    members = {name: row.get(name, getattr(empty, name)) for name in _CIRCUIT}
    return Circuit(**members, suspects=tuple(row.get("suspects", ())))


def _last_error(row: Attributes) -> LastError | None:
    if "last_error_at" not in row:
        return None
    at, reason, event_type = (row[name] for name in _LAST_ERROR)
    return LastError(at, reason, event_type)


def _last_error_values(error: LastError) -> dict[str, Value]:
    values: tuple[Value, ...] = (error.at, error.reason, error.event_type)
    return {f":{name}": value for name, value in zip(_LAST_ERROR, values, strict=True)}
