"""What a watched merchant's conversation counts, as CloudWatch would read it from the logs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.clients import ApiClient, ReceiverClient, SimulatorClient, aws_client, wait_until
from local.state import StackInfo

COUNTING = ("Inbound", "Deliveries", "Outbound")


@contextmanager
def watched(stack: StackInfo, business_id: str) -> Iterator[None]:
    """As after a deployment with that merchant in `WatchedMerchants`."""
    functions = aws_client(stack, "lambda")
    before: dict[str, Any] = {}
    for name in (stack.outputs[f"{part}FunctionName"] for part in COUNTING):
        before[name] = functions.get_function_configuration(FunctionName=name)["Environment"]
        variables = {**before[name]["Variables"], "WATCHED_MERCHANTS": business_id}
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
    try:
        yield
    finally:
        for name, environment in before.items():
            functions.update_function_configuration(FunctionName=name, Environment=environment)


def counts_of(stack: StackInfo, business_id: str) -> set[tuple[str, ...]]:
    """(metric, values of the other dimensions) of everything counted for that merchant alone."""
    logs = aws_client(stack, "logs")
    found: set[tuple[str, ...]] = set()
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            if name.endswith(tuple(f"/{part}LogGroup" for part in COUNTING)):
                found.update(_counts(logs, name, business_id))
    return found


def _counts(logs: Any, group: str, business_id: str) -> Iterator[tuple[str, ...]]:
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            if '"_aws"' not in event["message"] or '"merchant"' not in event["message"]:
                continue
            line = json.loads(event["message"])
            (metrics,) = line["_aws"]["CloudWatchMetrics"]
            for keys in metrics["Dimensions"]:
                if "merchant" in keys and line["merchant"] == business_id:
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
    answer = {"openid": openid, "message": {"type": "text", "text": "在的"}}
    api.post(f"/merchants/{business_id}/messages", answer).raise_for_status()


def new_merchant(simulator: SimulatorClient) -> str:
    names = {"account_name": f"m_{uuid.uuid4().hex[:12]}", "nickname": "指标旗舰店"}
    business_id: str = simulator.call("POST", "/_sim/merchants", names)["business_id"]
    return business_id


def test_a_watched_merchant_is_counted_for_itself(
    stack: StackInfo, api: ApiClient, simulator: SimulatorClient, receiver: ReceiverClient
) -> None:
    business_id, other = new_merchant(simulator), new_merchant(simulator)
    expected = {("MessagesReceived",), ("Deliveries", "delivered"), ("Sends", "sent")}
    with watched(stack, business_id):
        converse(api, simulator, receiver, other)
        converse(api, simulator, receiver, business_id)
        wait_until(lambda: counts_of(stack, business_id) >= expected, 60, "counts of the merchant")
    assert counts_of(stack, other) == set()
