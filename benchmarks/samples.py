"""A customer's text message as WeChat pushes it: in secure mode, as XML or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from wechat_kf.wechat.crypto import BodyFormat, FrameCipher, cdata, sign_parts

__all__ = ["AES_KEY", "APP_ID", "TOKEN", "Account", "BodyFormat", "sealed_push"]

APP_ID = "wx0123456789abcdef"
TOKEN = "benchmarktoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
NONCE = "415670741"

FIELDS: dict[str, Any] = {
    "ToUserName": "gh_97417a04a28d",
    "FromUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
    "CreateTime": 1_700_000_000,
    "MsgType": "text",
    "Content": "你好，请问这件外套还有 L 码吗？今天能发货吗？🧥😊",
    "MsgId": 22_923_519_871_373_703,
    "BusinessId": 42,
}


@dataclass(frozen=True, slots=True)
class Account:
    """Keys that a push is signed and encrypted with."""

    app_id: str = APP_ID
    token: str = field(default=TOKEN, repr=False)
    aes_key: str = field(default=AES_KEY, repr=False)


def sealed_push(
    body_format: BodyFormat, now: int, account: Account | None = None, **fields: Any
) -> tuple[bytes, dict[str, str]]:
    """Body and query of a push signed at `now` (epoch seconds); `fields` replace those above."""
    account = account or Account()
    message = _inner(body_format, {**FIELDS, **fields})
    encrypt = FrameCipher(account.aes_key, account.app_id).encrypt(message)
    query = {
        "timestamp": str(now),
        "nonce": NONCE,
        "signature": sign_parts(account.token, str(now), NONCE),
        "msg_signature": sign_parts(account.token, str(now), NONCE, encrypt),
        "encrypt_type": "aes",
    }
    return _envelope(body_format, encrypt), query


def _inner(body_format: BodyFormat, fields: dict[str, Any]) -> bytes:
    if body_format is BodyFormat.JSON:
        return json.dumps(fields, ensure_ascii=False).encode()
    elements = "".join(
        f"<{name}>{cdata(value) if isinstance(value, str) else value}</{name}>"
        for name, value in fields.items()
    )
    return f"<xml>{elements}</xml>".encode()


def _envelope(body_format: BodyFormat, encrypt: str) -> bytes:
    account = str(FIELDS["ToUserName"])
    if body_format is BodyFormat.JSON:
        return json.dumps({"ToUserName": account, "Encrypt": encrypt}).encode()
    return (
        f"<xml><ToUserName>{cdata(account)}</ToUserName><Encrypt>{cdata(encrypt)}</Encrypt></xml>"
    ).encode()
