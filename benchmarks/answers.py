"""Canned responses of AWS and WeChat for benchmarks: immediate, and always successful.

The rows are those that our own stores write, so they cannot drift from the real ones.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.samples import AES_KEY, TOKEN
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.dynamo import Value, encode
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.messages_table import MessagesTable
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.domain.clock import HOUR, MINUTE
from wechat_kf.domain.events import ANY_MERCHANT
from wechat_kf.domain.merchants.merchant import Merchant
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.message import Guarantee, OutboundMessage, Status
from wechat_kf.domain.messages.message_ids import new_message_id
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType

BUSINESS_ID: Final = "42"
OPENID: Final = "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"
SUBSCRIPTION_ID: Final = "sub-benchmark"
RECIPIENTS: Final = 100
TEXT: Final = {"type": "text", "text": "您好，L 码有货，今天下单今天发。"}
PUSH_SECRET: Final = json.dumps({"token": TOKEN, "encoding_aes_key": AES_KEY})
WECHAT_SAYS_YES: Final = b'{"errcode":0,"errmsg":"ok"}'

Document = dict[str, Any]


class Answers:
    """Responses to the calls of every function; `origin` receives the webhooks."""

    def __init__(self, origin: str) -> None:
        now = time.time_ns() // 1_000_000
        conversation: dict[str, Value] = {"business_id": BUSINESS_ID, "openid": OPENID}
        acted: dict[str, Value] = {"messaged_at": now, "entered_at": now, "active_at": now}
        token: dict[str, Value] = {
            "access_token": "t" * 136,
            "requested_at": now,
            "expires_at": now + 2 * HOUR,
        }
        self._subscription = _subscription_row(origin)
        self._message = _message_row(now)
        self._items: dict[str, Document] = {
            "MerchantsTable": _merchant_row(),
            "ConversationsTable": encode({**conversation, **acted}),
            "TokensTable": encode(token),
            "SubscriptionsTable": self._subscription,
            "MessagesTable": _broadcast_row(now),
        }
        self._answers: dict[str, Callable[[Mapping[str, Any]], Document]] = {
            "GetItem": lambda request: {"Item": self._items[request["TableName"]]},
            "BatchGetItem": _all_found,
            "PutItem": lambda _: {},
            "UpdateItem": self._updated,
            "Query": lambda request: {"Items": self._found(request)},
            "Scan": lambda _: {"Items": []},
            "SendMessage": lambda _: {"MessageId": "m", "SequenceNumber": "1"},
            "SendMessageBatch": _all_taken,
            "GetSecretValue": lambda _: {"ARN": "arn", "Name": "push", "SecretString": PUSH_SECRET},
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> Document:
        """Return the response to `operation` (its API name); KeyError if it is not expected."""
        found: Document = self._answers[operation](request)
        return found

    def change_subscription(self, **members: Value) -> None:
        """Set attributes of the one subscription's row."""
        self._subscription.update(encode(members))

    def _updated(self, request: Mapping[str, Any]) -> Document:
        ours = request["TableName"] == "MessagesTable"
        return {"Attributes": self._message if ours else request["Key"]}

    def _found(self, request: Mapping[str, Any]) -> list[Document]:
        """Every merchant has one subscription; the one for all merchants has none."""
        if request["TableName"] != "SubscriptionsTable":
            return []
        (asked,) = request["ExpressionAttributeValues"].values()
        if asked["S"] == ANY_MERCHANT:
            return []
        return [{**self._subscription, "business_id": asked}]


def _all_found(request: Mapping[str, Any]) -> Document:
    asked = {table: wanted["Keys"] for table, wanted in request["RequestItems"].items()}
    return {"Responses": asked, "UnprocessedKeys": {}}


def _all_taken(request: Mapping[str, Any]) -> Document:
    return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}


class _Capture:
    """A DynamoDB client that keeps the first item written."""

    def __init__(self) -> None:
        self.item: Document = {}

    def put_item(self, **request: Any) -> Document:
        self.item = request["Item"]
        return {}

    def transact_write_items(self, **request: Any) -> Document:
        self.item = request["TransactItems"][0]["Put"]["Item"]
        return {}


def _subscription_row(origin: str) -> Document:
    capture = _Capture()
    SubscriptionsTable(capture, "t").add(
        Subscription(
            BUSINESS_ID,
            SUBSCRIPTION_ID,
            Target(TargetType.WEBHOOK, f"{origin}/hooks/benchmark"),
            secrets=("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",),
        )
    )
    return capture.item


def _merchant_row() -> Document:
    capture = _Capture()
    MerchantsTable(capture, "t").add(
        Merchant(BUSINESS_ID, "camellia", "山茶旗舰店", external_id="shop-42")
    )
    return capture.item


def _message_row(now: int) -> Document:
    """The item that a claim finds: ours, sent for the first time."""
    capture = _Capture()
    message = OutboundMessage(
        message_id=new_message_id(OPENID, now),
        business_id=BUSINESS_ID,
        openid=OPENID,
        content=TEXT,
        accepted_at=now,
        expires_at=now + HOUR,
        status=Status.SENDING,
        attempts=1,
        claimed_until=now + MINUTE,
    )
    MessagesTable(capture, "t", 30, lambda: now).add(message)
    return capture.item


def _broadcast_row(now: int) -> Document:
    capture = _Capture()
    broadcast = Broadcast(
        broadcast_id="benchmark",
        business_id=BUSINESS_ID,
        openids=tuple(f"{OPENID[:-2]}{number:02}" for number in range(RECIPIENTS)),
        content=TEXT,
        request_digest="d" * 64,
        accepted_at=now,
        guarantee=Guarantee.AT_MOST_ONCE,
    )
    BroadcastsTable(capture, "t", 30, lambda: now).add(broadcast)
    return capture.item
