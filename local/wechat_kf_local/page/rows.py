"""The rows of messages, as DynamoDB stores them."""

from __future__ import annotations

from typing import Any

from wechat_kf.domain.events import conversation_key
from wechat_kf.domain.messages.message_ids import message_key
from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo

Item = dict[str, Any]
"""With DynamoDB's types."""

LATEST = 100


def read_sent_row(stack: StackInfo, business_id: str, message_id: str) -> Item | None:
    """Return the item of a message that was sent, or None when there is none."""
    place = message_key(message_id)
    if place is None:
        return None
    key = {"c": {"S": conversation_key(business_id, place.openid)}, "s": {"S": place.position}}
    answer = aws_client(stack, "dynamodb").get_item(TableName=_table(stack), Key=key)
    item: Item | None = answer.get("Item")
    return item


def read_received_row(
    stack: StackInfo, business_id: str, openid: str, event_id: str
) -> Item | None:
    """Return the item of a buyer's message, or None when it is none of the latest."""
    answer = aws_client(stack, "dynamodb").query(
        TableName=_table(stack),
        KeyConditionExpression="c = :conversation",
        ExpressionAttributeValues={":conversation": {"S": conversation_key(business_id, openid)}},
        ScanIndexForward=False,
        Limit=LATEST,
    )
    found: list[Item] = [one for one in answer["Items"] if one["s"]["S"].endswith(event_id)]
    return found[0] if found else None


def _table(stack: StackInfo) -> str:
    return stack.outputs["MessagesTableName"]
