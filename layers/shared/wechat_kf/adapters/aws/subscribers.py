"""Deliver events to a queue or to the bundle's event bus."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.adapters.aws.clients import Limits
from wechat_kf.adapters.aws.fifo import safe_id
from wechat_kf.adapters.aws.inbound_queue import event_to_body
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Deferred, Delivered, DeliveryResult
from wechat_kf.domain.subscriptions.subscription import Subscription

TARGET_LIMITS = Limits(connect=1, read=4, tries=1)
"""One try within 5 s: the deliveries queue retries."""

EVENT_SOURCE = "wechat-kf"


class SqsSubscriber:
    """Implements `Subscriber` for targets of type `queue`: the body is the CloudEvent.

    A FIFO queue keeps the order of each conversation and drops repeats of an event.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """Send the event; every failure is retried, also a missing or forbidden queue."""
        queue_url = subscription.target.address
        order = {}
        if queue_url.endswith(".fifo"):
            order = {
                "MessageGroupId": safe_id(event.conversation),
                "MessageDeduplicationId": event.id,
            }
        try:
            self._client.send_message(QueueUrl=queue_url, MessageBody=event_to_body(event), **order)
        except (BotoCoreError, ClientError) as error:
            return Deferred(f"SQS: {_read_code(error)}")
        return Delivered()


class EventBusSubscriber:
    """Implements `Subscriber` for targets of type `event_bus`.

    The CloudEvent is the `detail`, its type the `detail-type`; the source is `wechat-kf`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def deliver(self, subscription: Subscription, event: Event) -> DeliveryResult:
        """Put the event on the bus; PutEvents answers 200 even for an entry it did not take."""
        entry = {
            "EventBusName": subscription.target.address,
            "Source": EVENT_SOURCE,
            "DetailType": event.type,
            "Detail": json.dumps(event.to_cloudevent(), ensure_ascii=False),
        }
        try:
            answer = self._client.put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            return Deferred(f"EventBridge: {_read_code(error)}")
        if answer["FailedEntryCount"]:
            return Deferred(f"EventBridge: {answer['Entries'][0].get('ErrorCode', 'unknown')}")
        return Delivered()


def _read_code(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    return type(error).__name__
