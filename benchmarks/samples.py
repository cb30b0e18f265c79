"""One customer's text as WeChat pushes it: in secure mode, as XML or JSON."""

from __future__ import annotations

import json

from wechat_kf.wechat.crypto import BodyFormat, FrameCipher, cdata, signature

__all__ = ["AES_KEY", "APP_ID", "TOKEN", "BodyFormat", "sealed_push"]

APP_ID = "wx0123456789abcdef"
TOKEN = "benchmarktoken"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
NONCE = "415670741"

FIELDS = {
    "ToUserName": "gh_97417a04a28d",
    "FromUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
    "CreateTime": 1_700_000_000,
    "MsgType": "text",
    "Content": "你好，请问这件外套还有 L 码吗？今天能发货吗？🧥😊",
    "MsgId": 22_923_519_871_373_703,
    "BusinessId": 42,
}


def sealed_push(body_format: BodyFormat, now: int) -> tuple[bytes, dict[str, str]]:
    """Body and query of a push signed at `now` (epoch seconds)."""
    encrypt = FrameCipher(AES_KEY, APP_ID).encrypt(_inner(body_format))
    query = {
        "timestamp": str(now),
        "nonce": NONCE,
        "signature": signature(TOKEN, str(now), NONCE),
        "msg_signature": signature(TOKEN, str(now), NONCE, encrypt),
        "encrypt_type": "aes",
    }
    return _envelope(body_format, encrypt), query


def _inner(body_format: BodyFormat) -> bytes:
    if body_format is BodyFormat.JSON:
        return json.dumps(FIELDS, ensure_ascii=False).encode()
    elements = "".join(
        f"<{name}>{cdata(value) if isinstance(value, str) else value}</{name}>"
        for name, value in FIELDS.items()
    )
    return f"<xml>{elements}</xml>".encode()


def _envelope(body_format: BodyFormat, encrypt: str) -> bytes:
    account = str(FIELDS["ToUserName"])
    if body_format is BodyFormat.JSON:
        return json.dumps({"ToUserName": account, "Encrypt": encrypt}).encode()
    return (
        f"<xml><ToUserName>{cdata(account)}</ToUserName><Encrypt>{cdata(encrypt)}</Encrypt></xml>"
    ).encode()
