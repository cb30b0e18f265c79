"""The functions' handlers in this process, with an event for each as Lambda would pass it."""

from __future__ import annotations

import importlib
import itertools
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from benchmarks.answers import BUSINESS_ID, OPENID, SUBSCRIPTION_ID, TEXT
from benchmarks.samples import APP_ID, BodyFormat, sealed_push
from benchmarks.template_environment import function_environment
from wechat_kf.adapters.aws.delivery_body import delivery_to_body
from wechat_kf.adapters.aws.inbound_queue import event_to_body
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.messages.message_ids import new_message_id
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf_cli.stack.state import ROOT

Handler = Callable[[dict[str, Any], Any], Any]
T = TypeVar("T")

_numbers = itertools.count()


class Context:
    """A function's context with all its time left."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def load_handler(name: str, origin: str) -> Handler:
    """The handler of functions/`name`, with AWS and WeChat at `origin`. One per process.

    From now on the process writes its standard output, and so its logs, to nowhere.
    """
    os.environ.update(
        function_environment(name),
        AWS_ENDPOINT_URL=origin,
        WECHAT_API_HOSTS=origin,
        ALLOW_LOOPBACK_SUBSCRIBERS="true",
    )
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.dont_write_bytecode = True  # functions are deployed as they lie there
    sys.path.insert(0, str(ROOT / "functions" / name))
    handler: Handler = importlib.import_module(f"{name}_handler").handler
    return handler


def in_a_process(function: Callable[..., T], *arguments: str) -> T:
    """Call `function` in a new process, so that it may load a handler."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def event_for(name: str, business_id: str = BUSINESS_ID, openid: str = OPENID) -> dict[str, Any]:
    """One message's worth of work for a function."""
    return _EVENTS[name](business_id, openid)


def _push(business_id: str, openid: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"BusinessId": int(business_id), "FromUserName": openid}
    body, query = sealed_push(BodyFormat.XML, int(time.time()), **fields)
    return _http("POST", "/wechat/push", body.decode(), query)


def _inbound(business_id: str, openid: str) -> dict[str, Any]:
    return _batch(event_to_body(_received(business_id, openid)), f"{business_id}#{openid}")


def _outbound(business_id: str, openid: str) -> dict[str, Any]:
    message_id = new_message_id(openid, next(_numbers))
    body = {"business_id": business_id, "message_id": message_id}
    return _batch(json.dumps(body), f"{business_id}#{openid}")


def _messages(business_id: str, openid: str) -> dict[str, Any]:
    body = json.dumps({"openid": openid, "message": TEXT}, ensure_ascii=False)
    return _http("POST", f"/merchants/{business_id}/messages", body)


def _merchants(business_id: str, _openid: str) -> dict[str, Any]:
    return _http("GET", f"/merchants/{business_id}")


def _broadcasts(business_id: str, _openid: str) -> dict[str, Any]:
    return _batch(json.dumps({"business_id": business_id, "broadcast_id": "benchmark"}))


def _deliveries(business_id: str, openid: str) -> dict[str, Any]:
    event = _received(business_id, openid)
    delivery = Delivery(business_id, SUBSCRIPTION_ID, event, event.at_ms)
    return _batch(delivery_to_body(delivery), f"{SUBSCRIPTION_ID}#{openid}")


_EVENTS: dict[str, Callable[[str, str], dict[str, Any]]] = {
    "push": _push,
    "inbound": _inbound,
    "deliveries": _deliveries,
    "messages": _messages,
    "outbound": _outbound,
    "broadcasts": _broadcasts,
    "merchants": _merchants,
    "token": lambda *_: {"warm_up": True},
    "sweeper": lambda *_: {},
}


def _received(business_id: str, openid: str) -> Event:
    number = next(_numbers)
    return Event(
        id=f"{number:064x}",
        type=EventType.MESSAGE_RECEIVED,
        app_id=APP_ID,
        business_id=business_id,
        openid=openid,
        at_ms=time.time_ns() // 1_000_000,
        data={
            "business_id": business_id,
            "openid": openid,
            "message_id": str(22_923_519_871_373_703 + number),
            "message": {"type": "text", "text": "你好，请问这件外套还有 L 码吗？"},
        },
    )


def _batch(body: str, group_id: str = "") -> dict[str, Any]:
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
    if group_id:
        attributes["MessageGroupId"] = group_id
    record = {
        "messageId": "m",
        "receiptHandle": "r",
        "body": body,
        "attributes": attributes,
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:OutboundQueue.fifo",
    }
    return {"Records": [record]}


def _http(
    method: str, path: str, body: str | None = None, query: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": method, "path": path},
            "requestId": "r",
            "stage": "$default",
        },
        "queryStringParameters": query or {},
        "body": body,
        "isBase64Encoded": False,
    }
