"""The merchants table: each merchant, and its two unique names as items of their own.

Items: `merchant` by business id (all fields), `account_name` and `external_id` by name (pointing to
the business id). In DynamoDB only keys are unique, so one transaction writes all three.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    Part,
    Query,
    Table,
    Value,
    cursor,
    cursor_parts,
    transact,
)
from wechat_kf.app_errors import ConflictError
from wechat_kf.domain.merchants.merchant import ChangedMeanwhileError, Merchant, MerchantStatus
from wechat_kf.domain.paging import Page

MERCHANT: Final = "merchant"
ACCOUNT_NAME: Final = "account_name"
EXTERNAL_ID: Final = "external_id"

_PLACE: Final = {"kind": "sync", "key": "place"}


class MerchantsTable:
    """Implements `MerchantStore` and `SyncPlace`. Key: `kind`, `key`."""

    def __init__(
        self, client: Any, table_name: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = Table(client, table_name)
        self._pause = pause

    def add(self, merchant: Merchant) -> Merchant:
        blocking = self._write(
            {kind: self._put_new(item) for kind, item in _items(merchant).items()}
        )
        if existing := blocking.get(MERCHANT):
            return _merchant(existing)
        _refuse_taken_names(blocking)
        return merchant

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        stored = replace(after, version=before.version + 1)
        blocking = self._write(self._replacement(before, stored))
        if MERCHANT in blocking:
            existing = blocking[MERCHANT]
            if existing and _merchant(existing) == stored:  # our own write: its answer was lost
                return stored
            raise ChangedMeanwhileError
        _refuse_taken_names(blocking)
        return stored

    def get(self, business_id: str) -> Merchant | None:
        row = self._table.get({"kind": MERCHANT, "key": business_id})
        return _merchant(row) if row else None

    def find_by_account_name(self, account_name: str) -> Merchant | None:
        return self._find(ACCOUNT_NAME, account_name)

    def find_by_external_id(self, external_id: str) -> Merchant | None:
        return self._find(EXTERNAL_ID, external_id)

    def list(self, *, limit: int, cursor: str | None) -> Page[Merchant]:
        rows, end = self._table.query(
            Query(
                "#kind = :kind",
                {":kind": MERCHANT},
                limit=limit,
                start=_start(cursor) if cursor else None,
            )
        )
        return Page([_merchant(row) for row in rows], _next_cursor(end))

    def read_place(self) -> str:
        row = self._table.get(_PLACE)
        return str(row["business_id"]) if row else ""

    def write_place(self, business_id: str) -> None:
        self._table.put({**_PLACE, "business_id": business_id})

    def _find(self, kind: str, name: str) -> Merchant | None:
        pointer = self._table.get({"kind": kind, "key": name})
        return self.get(pointer["business_id"]) if pointer else None

    def _write(self, writes: Mapping[str, Part]) -> dict[str, Attributes]:
        """Write all, or none and return the items that stand in the way, by kind."""
        blocking = transact(self._client, [*writes.values()], self._pause)
        return {kind: blocking[n] for n, kind in enumerate(writes) if n in blocking}

    def _put_new(self, item: Mapping[str, Value]) -> Part:
        return self._table.part("Put", item, condition="attribute_not_exists(#key)")

    def _replacement(self, before: Merchant, after: Merchant) -> dict[str, Part]:
        """Return the writes of an update; the condition on the version protects the names too."""
        old, new = _items(before), _items(after)
        writes = {
            MERCHANT: self._table.part(
                "Put",
                new[MERCHANT],
                condition="#version = :version",
                values={":version": before.version},
            )
        }
        if before.external_id == after.external_id:
            return writes
        if EXTERNAL_ID in old:
            key = {"kind": EXTERNAL_ID, "key": before.external_id}
            writes["old_external_id"] = self._table.part("Delete", key)
        if EXTERNAL_ID in new:
            writes[EXTERNAL_ID] = self._put_new(new[EXTERNAL_ID])
        return writes


def _refuse_taken_names(blocking: Mapping[str, Attributes]) -> None:
    for name in (ACCOUNT_NAME, EXTERNAL_ID):
        if name in blocking:
            raise ConflictError(
                f"{name} belongs to another merchant",
                field=name,
                business_id=blocking[name]["business_id"],
            )


def _items(merchant: Merchant) -> dict[str, dict[str, Any]]:
    items: dict[str, dict[str, Any]] = {
        MERCHANT: {
            "key": merchant.business_id,
            "business_id": merchant.business_id,
            "account_name": merchant.account_name,
            "nickname": merchant.nickname,
            "icon_url": merchant.icon_url,
            "external_id": merchant.external_id,
            "status": merchant.status,
            "created_at": merchant.created_at,
            "updated_at": merchant.updated_at,
            "version": merchant.version,
            "welcome_message": merchant.welcome_message,
        },
        ACCOUNT_NAME: {"key": merchant.account_name, "business_id": merchant.business_id},
    }
    if merchant.external_id is not None:
        items[EXTERNAL_ID] = {"key": merchant.external_id, "business_id": merchant.business_id}
    return {kind: {"kind": kind, **item} for kind, item in items.items()}


def _merchant(row: Attributes) -> Merchant:
    return Merchant(
        business_id=row["business_id"],
        account_name=row["account_name"],
        nickname=row["nickname"],
        icon_url=row["icon_url"],
        external_id=row.get("external_id"),
        status=MerchantStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        version=row.get("version", 0),
        welcome_message=row.get("welcome_message"),
    )


def _start(text: str) -> dict[str, str]:
    (business_id,) = cursor_parts(text, str)
    return {"kind": MERCHANT, "key": business_id}


def _next_cursor(end: Attributes | None) -> str | None:
    return cursor(end["key"]) if end else None
