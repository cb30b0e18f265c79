"""Receive WeChat's pushes: verify, decrypt, parse, enqueue, answer.

`success` is answered only when the event is safe in the queue. A request that is not WeChat's is
answered 403 (413 when too large) and nothing of it is queued. The answer is 500, so that WeChat
tries again, when the queue does not take the event or when the keys may just have been rotated.
"""

from __future__ import annotations

import base64
import logging
from typing import Any

from wechat_kf.adapters.aws.clients import push_clients
from wechat_kf.adapters.aws.inbound_queue import EventSqsQueue
from wechat_kf.adapters.aws.secret_cache import SecretCache
from wechat_kf.adapters.wechat.push_receiver import KeysInDoubtError, PushPolicy, PushReceiver
from wechat_kf.app_errors import UnavailableError
from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.observability import count, guard_invocation, logger
from wechat_kf.wechat.push import PushMode, PushRefusedError, Refusal


class PushSettings:
    """Environment of the push function."""

    app_id: str
    push_secret_arn: str
    inbound_queue_url: str
    push_mode: str = "secure"
    push_max_age_seconds: int = 600
    transfer_main_account_messages: bool = False


SETTINGS = load_settings(PushSettings)
LOG_ACCEPTED = logger.log_level <= logging.DEBUG
"""Read once at import: checking the log level costs a tenth of opening a push."""


def report_unusable(reason: str) -> None:
    """Report a push secret that cannot be used; the last good keys, if any, stay in use."""
    count("PushSecretUnusable")
    logger.error("push secret unusable", reason=reason)


SQS, SECRETS_MANAGER = push_clients()
RECEIVER = PushReceiver(
    PushPolicy(
        app_id=SETTINGS.app_id,
        mode=PushMode(SETTINGS.push_mode),
        max_age_seconds=SETTINGS.push_max_age_seconds or None,
        transfer_main_account=SETTINGS.transfer_main_account_messages,
    ),
    SecretCache(SECRETS_MANAGER, SETTINGS.push_secret_arn, now_ms),
    EventSqsQueue(SQS, SETTINGS.inbound_queue_url),
    report_unusable=report_unusable,
)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """GET verifies the URL, POST is a push (API Gateway HTTP API, payload format 2.0)."""
    query = event.get("queryStringParameters") or {}
    try:
        if event["requestContext"]["http"]["method"] == "GET":
            return _answer(200, RECEIVER.verify(query))
        received = RECEIVER.receive(_body(event), query)
    except PushRefusedError as error:
        count("PushRefused", reason=error.refusal)
        logger.warning("push refused", reason=error.refusal)
        if isinstance(error, KeysInDoubtError):
            return _answer(500, "try again")
        return _answer(413 if error.refusal is Refusal.TOO_LARGE else 403, "refused")
    except UnavailableError as error:
        count("PushNotQueued")
        logger.error("push not queued", reason=error.detail)
        return _answer(500, "try again")
    if LOG_ACCEPTED:
        logger.debug("push accepted", event_type=received.event.type, event_id=received.event.id)
    return _answer(200, received.answer)


def _body(event: dict[str, Any]) -> bytes:
    body = str(event.get("body") or "")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body)
    except ValueError:
        # Not the gateway's own wrapping, then; no bytes at all are refused like any other non-push.
        return b""


def _answer(status: int, body: str) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "text/plain; charset=utf-8"},
        "body": body,
    }
