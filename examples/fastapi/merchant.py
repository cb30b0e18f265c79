"""A merchant's back end in FastAPI: receive, verify, discard duplicates, answer.

    pip install fastapi uvicorn standardwebhooks httpx botocore
    WEBHOOK_SECRET=whsec_… WECHAT_KF_API_URL=https://… uvicorn merchant:app --port 8080

The AWS credentials come from the environment, as with every AWS SDK; they need `execute-api:Invoke`
on this merchant's paths only.
"""

import json
import os
import sqlite3
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session
from fastapi import BackgroundTasks, FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

API_URL = os.environ["WECHAT_KF_API_URL"]
WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])
SEEN = sqlite3.connect(os.environ.get("SEEN", "seen.sqlite"), check_same_thread=False)
SEEN.execute("CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY)")

app = FastAPI()


@app.post("/wechat")
async def receive(request: Request, later: BackgroundTasks) -> Response:
    """Answer at once; the work comes after the response, so that five seconds always suffice.

    A process that dies in between loses the work: put it into a queue of yours where that matters.
    """
    try:
        event = WEBHOOK.verify(await request.body(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return Response(status_code=401)
    with SEEN:
        new = SEEN.execute("INSERT OR IGNORE INTO events VALUES (?)", (event["id"],)).rowcount
    if new and event["type"] == "wechat.kf.message.received":
        later.add_task(answer, event)
    return Response(status_code=204)


def answer(event: dict[str, Any]) -> None:
    data = event["data"]
    body = {
        "openid": data["openid"],
        "message": {"type": "text", "text": f"收到：{data['message'].get('text', '您的消息')}"},
    }
    # The event's id as the key: an answer that is sent twice is one.
    call(f"/merchants/{data['business_id']}/messages", body, key=event["id"])


def call(path: str, body: dict[str, Any], key: str) -> None:
    content = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = AWSRequest("POST", API_URL + path, data=content, headers=headers)
    session = get_session()
    region = session.get_config_variable("region")
    SigV4Auth(session.get_credentials(), "execute-api", region).add_auth(request)
    httpx.post(API_URL + path, content=content, headers=dict(request.headers)).raise_for_status()
