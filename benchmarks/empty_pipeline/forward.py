"""Handlers of an empty pipeline: each forwards its input and does nothing else.

`NEXT` is the next queue's URL, or the address of the last hop. `boto3` is Lambda's own.
"""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import boto3

NEXT = os.environ["NEXT"]
SQS = boto3.client("sqs")


def receive(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """HTTP API → queue."""
    put(event["body"])
    return {"statusCode": 200, "body": "success"}


def forward(event: dict[str, Any], context: Any) -> None:
    """Queue → queue."""
    for record in event["Records"]:
        put(record["body"])


def deliver(event: dict[str, Any], context: Any) -> None:
    """Queue → HTTP POST, whatever the response."""
    for record in event["Records"]:
        url = urlsplit(NEXT)
        connection = HTTPConnection(url.netloc, timeout=5)
        connection.request("POST", url.path, record["body"].encode())
        connection.getresponse()
        connection.close()


def put(body: str) -> None:
    message = json.loads(body)
    SQS.send_message(
        QueueUrl=NEXT,
        MessageBody=body,
        MessageGroupId=message["group"],
        MessageDeduplicationId=message["id"],
    )
