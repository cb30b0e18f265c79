"""Capacity units that AWS would charge, reckoned from the calls and the rows before and after.

The rules (docs.aws.amazon.com/amazondynamodb, "Capacity unit consumption for write operations" and
"Using Global Secondary Indexes"): a write costs one unit for each KiB of the larger of the row
before and after; a refused conditional write costs as much. An index costs one write when a row
enters it, leaves it, or changes a projected attribute, and two when its key in the index changes;
nothing otherwise. A consistent read costs one unit for each 4 KiB, an eventual one half. The
emulator reports no units, so they are counted here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from generators.template_file import read_template

Item = Mapping[str, Any]


def size_of(item: Item) -> int:
    """The bytes that DynamoDB counts for an item."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    (kind, content), *_ = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return (len(content.lstrip("-")) + 1) // 2 + 1
    return 3 + sum(1 + _size(element) for element in content)


def write_units(size: int) -> int:
    return max(1, math.ceil(size / 1024))


def read_units(size: int, *, consistent: bool) -> float:
    return max(1, math.ceil(size / 4096)) * (1 if consistent else 0.5)


class MeteredClient:
    """A DynamoDB client that adds up the units of one table of the template."""

    def __init__(self, client: Any, table: str, logical_id: str) -> None:
        self._client = client
        self._table = table
        properties = read_template()["Resources"][logical_id]["Properties"]
        self._key = [part["AttributeName"] for part in properties["KeySchema"]]
        self._indexes: list[tuple[list[str], bool]] = [
            (
                [part["AttributeName"] for part in index["KeySchema"]],
                index["Projection"]["ProjectionType"] == "ALL",
            )
            for index in properties.get("GlobalSecondaryIndexes", ())
        ]
        self.written = 0
        self.read = 0.0

    def reset(self) -> None:
        self.written, self.read = 0, 0.0

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_item(self, **request: Any) -> Any:
        return self._write(self._client.put_item, request["Item"], request)

    def update_item(self, **request: Any) -> Any:
        return self._write(self._client.update_item, request["Key"], request)

    def get_item(self, **request: Any) -> Any:
        answer = self._client.get_item(**request)
        self._read([answer.get("Item", {})], consistent=request.get("ConsistentRead", False))
        return answer

    def batch_get_item(self, **request: Any) -> Any:
        """Charged for each item by itself, also for those that do not exist."""
        answer = self._client.batch_get_item(**request)
        for table, asked in request["RequestItems"].items():
            items = answer["Responses"][table]
            missing: list[Item] = [{}] * (len(asked["Keys"]) - len(items))
            for item in [*items, *missing]:
                self._read([item], consistent=asked.get("ConsistentRead", False))
        return answer

    def query(self, **request: Any) -> Any:
        """Charged for what is read before it is filtered, and whatever is left out."""
        whole = {
            name: value
            for name, value in request.items()
            if name not in ("FilterExpression", "ProjectionExpression")
        }
        used = request["KeyConditionExpression"]
        for kind in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            whole[kind] = {name: value for name, value in request[kind].items() if name in used}
        items: Sequence[Item] = self._client.query(**whole)["Items"]
        self._read(items, consistent=request.get("ConsistentRead", False))
        return self._client.query(**request)

    def _read(self, items: Sequence[Item], *, consistent: bool) -> None:
        self.read += read_units(sum(map(size_of, items)), consistent=consistent)

    def _write(self, call: Any, item: Item, request: Mapping[str, Any]) -> Any:
        key = {name: item[name] for name in self._key}
        before = self._look(key)
        try:
            return call(**request)
        finally:
            self._charge(before, self._look(key))

    def _look(self, key: Item) -> Item:
        found: Item = self._client.get_item(
            TableName=self._table, Key=key, ConsistentRead=True
        ).get("Item", {})
        return found

    def _charge(self, before: Item, after: Item) -> None:
        self.written += write_units(max(size_of(before), size_of(after)))
        for key, everything in self._indexes:
            old, new = (self._project(row, key, everything) for row in (before, after))
            if old == new:
                continue
            moved = bool(old and new) and any(old[name] != new[name] for name in key)
            sizes = [size_of(old), size_of(new)]
            self.written += sum(map(write_units, sizes)) if moved else write_units(max(sizes))

    def _project(self, row: Item, key: list[str], everything: bool) -> Item:
        """What an index holds of a row: nothing if a key attribute is missing."""
        if not all(name in row for name in key):
            return {}
        return row if everything else {name: row[name] for name in {*key, *self._key}}
