"""The row of a message, as DynamoDB stores it."""

from typing import Any

from wechat_kf.domain.events import conversation_key
from wechat_kf.domain.messages.message_ids import message_key
from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo


def read_row(stack: StackInfo, business_id: str, message_id: str) -> dict[str, Any] | None:
    """Return the item of a message with DynamoDB's types, or None when there is none."""
    place = message_key(message_id)
    if place is None:
        return None
    partition = conversation_key(business_id, place.openid)
    key = {"c": {"S": partition}, "s": {"S": place.position}}
    table = stack.outputs["MessagesTableName"]
    item: dict[str, Any] | None = (
        aws_client(stack, "dynamodb").get_item(TableName=table, Key=key).get("Item")
    )
    return item
