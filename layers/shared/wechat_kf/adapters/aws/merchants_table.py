"""The merchants table: each merchant, and its two unique names as items of their own.

Items: `merchant` by business id (all fields), `account_name` and `external_id` by name (pointing to
the business id). In DynamoDB only keys are unique, so one transaction writes all three.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from wechat_kf.adapters.aws.client_errors import as_unavailable, is_wrong_request
from wechat_kf.adapters.aws.dynamo import (
    Attributes,
    Query,
    Table,
    Value,
    cursor,
    cursor_parts,
    decode,
    encode,
)
from wechat_kf.domain.merchants.merchant import ChangedMeanwhileError, Merchant, MerchantStatus
from wechat_kf.domain.paging import Page
from wechat_kf.errors import ConflictError, UnavailableError

MERCHANT: Final = "merchant"
ACCOUNT_NAME: Final = "account_name"
EXTERNAL_ID: Final = "external_id"

_PLACE: Final = {"kind": "sync", "key": "place"}

TRIES = 4
"""Transactions on the same items at the same moment cancel each other; each is tried again."""


class MerchantsTable:
    """Implements `MerchantStore` and `SyncPlace`. Key: `kind`, `key`."""

    def __init__(
        self, client: Any, table_name: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._table = Table(client, table_name)
        self._pause = pause

    def add(self, merchant: Merchant) -> Merchant:
        blocking = self._write([_put_new(item) for item in _items(merchant).values()])
        if existing := blocking.get(MERCHANT):
            return _merchant(existing)
        _refuse_taken_names(blocking)
        return merchant

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        stored = replace(after, version=before.version + 1)
        blocking = self._write(_replacement(before, stored))
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

    def _write(self, writes: Sequence[_Write]) -> dict[str, Attributes]:
        """Write all, or none and return the items that stand in the way, by kind."""
        transaction = [
            {write.verb: {"TableName": self._table.name, **write.request}} for write in writes
        ]
        for attempt in range(TRIES):
            with as_unavailable("DynamoDB"):
                try:
                    self._client.transact_write_items(TransactItems=transaction)
                    return {}
                except ClientError as error:
                    reasons: Any = error.response.get("CancellationReasons")
                    if not reasons or is_wrong_request(error):
                        raise
            blocking = {
                write.kind: decode(reason.get("Item", {}))
                for write, reason in zip(writes, reasons, strict=True)
                if reason.get("Code") == "ConditionalCheckFailed"
            }
            if blocking:
                return blocking
            self._pause(0.05 * (attempt + 1))
        raise UnavailableError("another request is changing the same merchant")


@dataclass(frozen=True, slots=True)
class _Write:
    """One part of a transaction: `verb` is Put or Delete, `kind` the item's."""

    kind: str
    verb: str
    request: Mapping[str, Any]


def _put_new(item: Mapping[str, Any]) -> _Write:
    return _put(item, "attribute_not_exists(#key)", {"#key": "key"})


def _put(
    item: Mapping[str, Any],
    condition: str,
    names: Mapping[str, str],
    values: Mapping[str, Value] | None = None,
) -> _Write:
    request = {
        "Item": encode(item),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    if values:
        request["ExpressionAttributeValues"] = encode(values)
    return _Write(item["kind"], "Put", request)


def _replacement(before: Merchant, after: Merchant) -> list[_Write]:
    """Return the writes of an update; the condition on the version protects the names too."""
    old, new = _items(before), _items(after)
    writes = [
        _put(
            new[MERCHANT],
            "#version = :version",
            {"#version": "version"},
            {":version": before.version},
        )
    ]
    if before.external_id == after.external_id:
        return writes
    if EXTERNAL_ID in old:
        key = {"kind": EXTERNAL_ID, "key": before.external_id}
        writes.append(_Write("old_external_id", "Delete", {"Key": encode(key)}))
    if EXTERNAL_ID in new:
        writes.append(_put_new(new[EXTERNAL_ID]))
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
