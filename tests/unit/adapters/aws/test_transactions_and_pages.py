"""Queries of many pages, and transactions that are cancelled."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from wechat_kf.adapters.aws.dynamo import Query, Table, transact
from wechat_kf.app_errors import UnavailableError, UnexpectedError


class PagedClient:
    """Three pages, of which the second is empty."""

    def __init__(self) -> None:
        self.starts: list[Any] = []

    def query(self, **request: Any) -> dict[str, Any]:
        self.starts.append(request.get("ExclusiveStartKey"))
        number = len(self.starts)
        items = [] if number == 2 else [{"n": {"N": str(number)}}]
        end = {"LastEvaluatedKey": {"k": {"S": str(number)}}} if number < 3 else {}
        return {"Items": items, **end}


class CancellingClient:
    """Answers transactions with these lists of reasons, and then accepts them."""

    def __init__(self, *reasons: list[dict[str, Any]]) -> None:
        self.reasons = list(reasons)
        self.writes: list[Any] = []

    def transact_write_items(self, **request: Any) -> None:
        if self.reasons:
            answer = {
                "Error": {"Code": "TransactionCanceledException"},
                "CancellationReasons": self.reasons.pop(0),
            }
            raise ClientError(answer, "TransactWriteItems")  # type: ignore[arg-type]
        self.writes = request["TransactItems"]


CONFLICT = [{"Code": "None"}, {"Code": "TransactionConflict"}]


def test_a_query_goes_through_all_pages() -> None:
    client = PagedClient()
    rows = Table(client, "t").query_all(Query("#k = :k", {":k": "x"}))
    assert list(rows) == [{"n": 1}, {"n": 3}]
    assert client.starts == [None, {"k": {"S": "1"}}, {"k": {"S": "2"}}]


def test_a_cancelled_transaction_is_tried_five_times() -> None:
    pauses: list[float] = []
    client = CancellingClient(*[CONFLICT] * 4)
    assert transact(client, [{"Put": {}}], pauses.append) == {}
    assert client.writes == [{"Put": {}}]
    assert pauses == pytest.approx([0.04, 0.08, 0.12, 0.16])
    with pytest.raises(UnavailableError, match="same items"):
        transact(CancellingClient(*[CONFLICT] * 5), [], pauses.append)


def test_what_breaks_a_condition_is_returned_by_number_and_not_tried_again() -> None:
    old = {"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "7"}}}
    gone = {"Code": "ConditionalCheckFailed"}
    client = CancellingClient([{"Code": "None"}, old, gone])
    assert transact(client, [], lambda _: None) == {1: {"n": 7}, 2: {}}
    assert client.writes == []


def test_a_wrong_request_is_no_outage() -> None:
    client = CancellingClient([{"Code": "ValidationError"}])
    with pytest.raises(UnexpectedError):
        transact(client, [], lambda _: None)
