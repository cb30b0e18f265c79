"""What a watched merchant's conversation counts, as CloudWatch would read it from the logs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.deployed_functions import with_settings
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local import function_logs

pytestmark = pytest.mark.usefixtures("patient_wechat")

COUNTING = ("Inbound", "Deliveries", "Outbound")


def counts_of(stack: StackInfo, business_id: str) -> set[tuple[str, ...]]:
    """(metric, values of the other dimensions) of everything counted for that merchant alone."""
    messages = [message for _, _, message in function_logs.lines_of(aws_client(stack, "logs"))]
    metrics = [json.loads(message) for message in messages if '"_aws"' in message]
    return {
        found for line in metrics if line.get("merchant") == business_id for found in _counts(line)
    }


def _counts(line: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    (metrics,) = line["_aws"]["CloudWatchMetrics"]
    for keys in metrics["Dimensions"]:
        if "merchant" in keys:
            others = sorted(key for key in keys if key != "merchant")
            yield metrics["Metrics"][0]["Name"], *(line[key] for key in others)


def converse(
    api: ApiClient, simulator: SimulatorClient, receiver: ReceiverClient, business_id: str
) -> None:
    """A message arrives, is delivered, and is answered."""
    hook, openid = f"metrics-{business_id}", f"o{uuid.uuid4().hex[:27]}"
    order = {"target": {"type": "webhook", "url": receiver.hook(hook)}}
    subscription = api.post(f"/merchants/{business_id}/subscriptions", order).json()
    receiver.configure(hook, secret=subscription["secret"])
    simulator.say(openid, business_id, "在吗?")
    api.wait_for_conversation(business_id, openid)
    answer = {"openid": openid, "message": {"type": "text", "text": "在的"}}
    api.post(f"/merchants/{business_id}/messages", answer).raise_for_status()


def new_merchant(api: ApiClient, simulator: SimulatorClient) -> str:
    names = {"account_name": f"m_{uuid.uuid4().hex[:12]}", "nickname": "指标旗舰店"}
    business_id: str = simulator.call("POST", "/_sim/merchants", names)["business_id"]
    api.post("/merchants/sync").raise_for_status()
    return business_id


def test_a_watched_merchant_is_counted_for_itself(
    stack: StackInfo, api: ApiClient, simulator: SimulatorClient, receiver: ReceiverClient
) -> None:
    business_id, other = new_merchant(api, simulator), new_merchant(api, simulator)
    expected = {("MessagesReceived",), ("Deliveries", "delivered"), ("Sends", "sent")}
    with with_settings(stack, COUNTING, WATCHED_MERCHANTS=business_id):
        converse(api, simulator, receiver, other)
        converse(api, simulator, receiver, business_id)
        wait_until(lambda: counts_of(stack, business_id) >= expected, 60, "counts of the merchant")
    assert counts_of(stack, other) == set()
