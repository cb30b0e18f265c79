"""A DynamoDB table in plain Python values, and page cursors.

Written by hand because our attributes are texts, whole numbers and lists of texts: boto3's type
machinery (and its `Decimal`) would only cost start-up time.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from wechat_kf.adapters.aws.client_errors import as_unavailable, is_wrong_request
from wechat_kf.app_errors import InvalidRequestError, UnavailableError

_LONGEST_KEY = 256  # characters: of 4 bytes at most, so below DynamoDB's 1 024 bytes
_LATEST_MS = 10**14

_BATCH_TRIES = 5
"""DynamoDB leaves keys of a batch unread when it is throttled or the answer is too large."""

_TRANSACTION_TRIES = 5
_TRANSACTION_PAUSE_SECONDS = 0.04

Value = str | int | Sequence[str] | None
Attributes = dict[str, Any]
"""An item as we see it: attribute name → text, whole number or list of texts."""

Part = dict[str, Any]
"""A part of a transaction, from `Table.part`."""


class ConditionFailedError(Exception):
    """The condition of a write did not hold; `old` is the stored item, or None."""

    def __init__(self, old: Attributes | None) -> None:
        super().__init__("the condition of a write did not hold")
        self.old = old


@dataclass(frozen=True, slots=True)
class Query:
    """A query: `where` is its key condition. `start` is where an earlier page ended."""

    where: str
    values: Mapping[str, Value]
    index: str | None = None
    limit: int | None = None
    start: Mapping[str, Value] | None = None
    newest_first: bool = False
    keep: str | None = None
    only: Sequence[str] = ()
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One table. In expressions every attribute is written `#name`, every value `:name`.

    Every method raises `UnavailableError` when DynamoDB fails.
    """

    client: Any
    name: str

    def get(self, key: Mapping[str, Value], *, consistent: bool = True) -> Attributes | None:
        """Return the item, or None."""
        with as_unavailable("DynamoDB"):
            answer = self.client.get_item(
                TableName=self.name, Key=encode(key), ConsistentRead=consistent
            )
        return decode(answer["Item"]) if "Item" in answer else None

    def get_many(
        self, keys: Sequence[Mapping[str, Value]], *, consistent: bool = False
    ) -> list[Attributes]:
        """Return the items that exist, unordered (up to 100 keys)."""
        found: list[Attributes] = []
        wanted: list[dict[str, Any]] = [encode(key) for key in keys]
        for _ in range(_BATCH_TRIES):
            with as_unavailable("DynamoDB"):
                answer = self.client.batch_get_item(
                    RequestItems={self.name: {"Keys": wanted, "ConsistentRead": consistent}}
                )
            found += [decode(item) for item in answer["Responses"].get(self.name, ())]
            left = answer.get("UnprocessedKeys", {}).get(self.name)
            if not left:
                return found
            wanted = left["Keys"]
        raise UnavailableError("DynamoDB did not read everything that was asked for")

    def put(
        self,
        item: Mapping[str, Value],
        *,
        condition: str | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> None:
        """Write an item as a whole. Raises ConditionFailedError."""
        self._write(
            self.client.put_item, {"Item": encode(item)}, _expressions(values, condition=condition)
        )

    def update(
        self,
        key: Mapping[str, Value],
        change: str,
        values: Mapping[str, Value],
        *,
        condition: str,
    ) -> Attributes:
        """Change an item if `condition` holds and return it. Raises ConditionFailedError."""
        answer = self._write(
            self.client.update_item,
            {"Key": encode(key), "ReturnValues": "ALL_NEW"},
            _expressions(values, condition=condition, change=change),
        )
        return decode(answer["Attributes"])

    def delete(self, key: Mapping[str, Value]) -> bool:
        """Delete an item and return whether it existed."""
        answer = self._write(
            self.client.delete_item, {"Key": encode(key), "ReturnValues": "ALL_OLD"}, {}
        )
        return bool(answer.get("Attributes"))

    def part(
        self,
        verb: str,
        target: Mapping[str, Value],
        *,
        condition: str | None = None,
        change: str | None = None,
        values: Mapping[str, Value] | None = None,
    ) -> Part:
        """Return a part of a transaction.

        Args:
            verb: `Put` an item, or `Update`, `Delete` or `ConditionCheck` a key.
            target: The item, or the key.
            condition: What must hold, or nothing of the transaction is written.
            change: What an update does.
            values: Those of the condition and of the change.
        """
        request = {
            "TableName": self.name,
            "Item" if verb == "Put" else "Key": encode(target),
            **_expressions(values, condition=condition, change=change),
        }
        if condition:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return {verb: request}

    def query(self, query: Query) -> tuple[list[Attributes], Attributes | None]:
        """Return one page of items, and the key it ended at if there may be more."""
        return self._read(self.client.query, query, ScanIndexForward=not query.newest_first)

    def query_all(self, query: Query) -> Iterator[Attributes]:
        """Yield the items of all pages."""
        end: Attributes | None = None
        while True:
            rows, end = self.query(replace(query, start=end))
            yield from rows
            if end is None:
                return

    def scan(self, query: Query) -> tuple[list[Attributes], Attributes | None]:
        """Return one page of all items, as `query` does; `where` is empty."""
        return self._read(self.client.scan, query)

    def _read(
        self, call: Any, query: Query, **options: Any
    ) -> tuple[list[Attributes], Attributes | None]:
        request = {
            "TableName": self.name,
            "IndexName": query.index,
            "Limit": query.limit,
            "ConsistentRead": True if query.consistent else None,
            "ExclusiveStartKey": encode(query.start) if query.start else None,
            **_expressions(
                query.values, where=query.where, keep=query.keep, only=_projection(query.only)
            ),
            **options,
        }
        given = {name: value for name, value in request.items() if value is not None}
        with as_unavailable("DynamoDB"):
            answer = call(**given)
        end = answer.get("LastEvaluatedKey")
        return [decode(item) for item in answer["Items"]], decode(end) if end else None

    def _write(
        self, call: Any, request: Mapping[str, Any], expressions: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if "ConditionExpression" in expressions:
            request = {**request, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        with as_unavailable("DynamoDB"):
            try:
                answer: Mapping[str, Any] = call(TableName=self.name, **request, **expressions)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                old: Any = error.response.get("Item")
                raise ConditionFailedError(decode(old) if old else None) from None
        return answer


def transact(
    client: Any, parts: Sequence[Part], pause: Callable[[float], None]
) -> dict[int, Attributes]:
    """Write all parts, or none and return the items that break a condition, by number of part.

    Transactions on the same item at the same moment cancel each other: each is tried again. Raise
    `UnavailableError` when that does not help.
    """
    for attempt in range(_TRANSACTION_TRIES):
        with as_unavailable("DynamoDB"):
            try:
                client.transact_write_items(TransactItems=parts)
                return {}
            except ClientError as error:
                reasons: Any = error.response.get("CancellationReasons")
                if not reasons or is_wrong_request(error):
                    raise
        blocking = {
            number: decode(reason.get("Item", {}))
            for number, reason in enumerate(reasons)
            if reason.get("Code") == "ConditionalCheckFailed"
        }
        if blocking:
            return blocking
        pause(_TRANSACTION_PAUSE_SECONDS * (attempt + 1))
    raise UnavailableError("other requests are changing the same items")


_PARAMETERS = {
    "condition": "ConditionExpression",
    "change": "UpdateExpression",
    "where": "KeyConditionExpression",
    "keep": "FilterExpression",
    "only": "ProjectionExpression",
}


def _expressions(values: Mapping[str, Value] | None, **expressions: str | None) -> dict[str, Any]:
    """The request's expressions with their names and values.

    Every name goes through a placeholder, so that none can be one of DynamoDB's reserved words.
    """
    given = {_PARAMETERS[kind]: text for kind, text in expressions.items() if text}
    request: dict[str, Any] = dict(given)
    names = {f"#{name}": name for text in given.values() for name in re.findall(r"#(\w+)", text)}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = encode(values)
    return request


def _projection(names: Sequence[str]) -> str | None:
    return ", ".join(f"#{name}" for name in names) or None


def encode(values: Mapping[str, Value]) -> dict[str, Any]:
    """Convert plain values to DynamoDB's format; None is left out."""
    return {name: _encode_value(value) for name, value in values.items() if value is not None}


def _encode_value(value: Value) -> dict[str, Any]:
    if isinstance(value, str):
        return {"S": str(value)}  # a StrEnum becomes the text it is
    if isinstance(value, int):
        return {"N": str(value)}
    return {"L": [{"S": text} for text in value or ()]}


def decode(item: Mapping[str, Any]) -> Attributes:
    """Convert an item from DynamoDB's format."""
    return {name: _decode_value(value) for name, value in item.items()}


def _decode_value(value: Mapping[str, Any]) -> str | int | list[str]:
    if "S" in value:
        return str(value["S"])
    if "N" in value:
        return int(value["N"])
    return [element["S"] for element in value["L"]]


def cursor(*parts: str | int) -> str:
    """Return an opaque text for the place where a page ended.

    It holds sort keys only: the partition is always the one in the request, so a cursor cannot
    lead into another merchant's data.
    """
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def cursor_parts(text: str, *kinds: type[str] | type[int]) -> list[Any]:
    """Read a cursor. Raises InvalidRequestError for any other text."""
    try:
        parts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        json.dumps(parts, ensure_ascii=False).encode()  # no key has a lone surrogate
    except (binascii.Error, ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise invalid_cursor()
    if not all(_can_be_key(part) for part in parts):
        raise invalid_cursor()
    return parts


def invalid_cursor() -> InvalidRequestError:
    """Return the error for a cursor that this list did not give out."""
    return InvalidRequestError("cursor", "must be a next_cursor of the same list")


def _can_be_key(part: str | int) -> bool:
    if isinstance(part, str):
        return 0 < len(part) <= _LONGEST_KEY
    return 0 <= part <= _LATEST_MS
