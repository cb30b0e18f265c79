"""A Lambda function that consumes a subscriber queue (FIFO, with ReportBatchItemFailures).

Nothing to verify: only the stack's role can send to the queue. The queue drops repeats of an event
for five minutes; remember ids for longer where twice would hurt.
"""

import json
from typing import Any


def handler(batch: dict[str, Any], context: object) -> dict[str, Any]:
    records = batch["Records"]
    for number, record in enumerate(records):
        try:
            handle(json.loads(record["body"]))
        except Exception as error:  # whatever it is, this event and those behind it come again
            print(f"event not handled: {type(error).__name__}")
            left = [{"itemIdentifier": one["messageId"]} for one in records[number:]]
            return {"batchItemFailures": left}
    return {"batchItemFailures": []}


def handle(event: dict[str, Any]) -> None:
    match event["type"]:
        case "wechat.kf.message.received":
            print("a buyer wrote", event["id"])  # your own work; no customer text in logs
        case "wechat.kf.message.failed" | "wechat.kf.message.unknown":
            print("look at", event["data"]["message_id"], event["data"]["error"]["code"])
        case _:
            pass  # types that come later are no fault
