"""Receiving WeChat's pushes: verify, decrypt and parse in one call that cannot be half done.

    opener = PushOpener(app_id=..., mode=PushMode.SECURE, keys=[PushKeys(token, aes_key)])
    push = opener.open(raw_body, query)

Source: docs/wechat-api.md, section 7, after
https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from wechat_kf.wechat.crypto import (
    BodyFormat,
    FrameCipher,
    FrameError,
    FrameFault,
    Seal,
    cdata,
    seal_reply,
    sign_parts,
    signatures_equal,
)
from wechat_kf.wechat.push_body import MAX_BODY_BYTES, BodyError, parse_body, read_encrypt
from wechat_kf.wechat.push_fields import EVENT, Push, read_push

__all__ = [
    "EVENT",
    "MAX_BODY_BYTES",
    "BodyFormat",
    "Push",
    "PushKeys",
    "PushMode",
    "PushOpener",
    "PushRefusedError",
    "Refusal",
    "transfer_reply",
]

MAX_PARAMETER_LENGTH: Final = 512
MAX_TIMESTAMP_DIGITS: Final = 16
DEFAULT_MAX_AGE_SECONDS: Final = 600
_TRANSFER: Final = "transfer_customer_service"


class PushMode(StrEnum):
    """What is accepted; the console's 明文模式, 兼容模式, 安全模式 (section 7.0).

    PLAIN       plain pushes, and no others
    COMPATIBLE  both kinds, of an encrypted one only what is encrypted: the mode in which to change
                the console from plain to secure without losing a push
    SECURE      encrypted pushes, and no others
    """

    PLAIN = "plain"
    COMPATIBLE = "compatible"
    SECURE = "secure"


class Refusal(StrEnum):
    """Why a push was refused; the first thing an operator needs to know.

    MISSING_PARAMETER  the query lacks what WeChat always sends
    WRONG_SIGNATURE    wrong token, or not WeChat
    REENCODED_BODY     the token is right, but `Encrypt` is not what was signed: a proxy changed
                       the body, or someone replays the query with another one
    STALE              outside the age window: a replay, or a clock that is wrong
    TOO_LARGE          more than 256 KiB
    NOT_ENCRYPTED      a plain body though the mode is secure
    ENCRYPTED          an encrypted body though the mode, or the query, announces a plain one
    UNDECRYPTABLE      wrong EncodingAESKey
    WRONG_APP_ID       meant for another Mini Program
    MALFORMED          not XML or JSON, beyond the bounds, or fields that cannot be
    """

    MISSING_PARAMETER = "missing_parameter"
    WRONG_SIGNATURE = "wrong_signature"
    REENCODED_BODY = "reencoded_body"
    STALE = "stale"
    TOO_LARGE = "too_large"
    NOT_ENCRYPTED = "not_encrypted"
    ENCRYPTED = "encrypted"
    UNDECRYPTABLE = "undecryptable"
    WRONG_APP_ID = "wrong_app_id"
    MALFORMED = "malformed"


class PushRefusedError(Exception):
    """The one error for whatever is wrong with a push; carries no content and no secret."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class PushKeys:
    """Token and EncodingAESKey of the console; the key may be empty in plain mode."""

    token: str = field(repr=False)
    encoding_aes_key: str = field(repr=False)


class PushOpener:
    """Opens pushes, and nothing that is not one.

    keys             the current pair first, then previous ones: during a rotation every token
                     is accepted with every key
    max_age_seconds  how far `timestamp` may be from `clock`, either way; None or 0: any age

    Raises ValueError for keys that cannot be used in this mode. Keep the object: it decodes the
    keys once. It holds no other state.
    """

    def __init__(
        self,
        *,
        app_id: str,
        mode: PushMode,
        keys: Sequence[PushKeys],
        max_age_seconds: int | None = DEFAULT_MAX_AGE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        # An empty token would make every signature forgeable.
        if not keys or not all(pair.token for pair in keys):
            raise ValueError("every pair of push keys needs a token")
        self._mode = mode
        self._tokens = tuple(dict.fromkeys(pair.token for pair in keys))
        self._seals = () if mode is PushMode.PLAIN else _seals(keys, app_id)
        self._max_age_seconds = max_age_seconds or 0
        self._clock = clock

    def verify_url(self, query: Mapping[str, str]) -> str:
        """Return the `echostr` with which to answer WeChat's URL verification (section 7.1).

        It is the whole answer, without quotes. Raises PushRefusedError.
        """
        echo = _parameter(query, "echostr")
        # The signature does not cover it, so it is no place for anything but plain characters.
        if not (echo.isascii() and echo.isprintable()):
            raise PushRefusedError(Refusal.MALFORMED)
        self._verify_query(query)
        return echo

    def open(self, body: bytes, query: Mapping[str, str]) -> Push:
        """Return the push in `body`, the raw bytes of the request, and its query parameters.

        Raises PushRefusedError, and nothing else whatever the input.
        """
        if len(body) > MAX_BODY_BYTES:
            raise PushRefusedError(Refusal.TOO_LARGE)
        try:
            if self._announces_encryption(query):
                return self._open_sealed(body, query)
            return self._open_plain(body, query)
        except BodyError:
            raise PushRefusedError(Refusal.MALFORMED) from None

    def _announces_encryption(self, query: Mapping[str, str]) -> bool:
        if self._mode is PushMode.SECURE:
            return True
        encrypt_type = query.get("encrypt_type") or "raw"
        if encrypt_type == "aes":
            if self._mode is PushMode.PLAIN:
                raise PushRefusedError(Refusal.ENCRYPTED)
            return True
        if encrypt_type != "raw":
            raise PushRefusedError(Refusal.MALFORMED)
        return False

    def _open_plain(self, body: bytes, query: Mapping[str, str]) -> Push:
        self._verify_query(query)
        format_, fields = parse_body(body)
        # WeChat never sends both: someone took the query's encrypt_type away to be believed
        # without msg_signature, or console and settings differ.
        if "Encrypt" in fields:
            raise PushRefusedError(Refusal.ENCRYPTED)
        return read_push(fields, format_, None)

    def _open_sealed(self, body: bytes, query: Mapping[str, str]) -> Push:
        # Before the signature is checked, the envelope is read for `Encrypt` alone.
        encrypt = read_encrypt(body)
        if encrypt is None:
            raise PushRefusedError(Refusal.NOT_ENCRYPTED)
        if not isinstance(encrypt, str):
            raise BodyError("Encrypt is no text")
        # Base64 has no blanks: those come from whoever printed the body prettily. The signature
        # covers the text as WeChat wrote it, so either spelling may be the signed one.
        compact = "".join(encrypt.split())
        token = self._verify_encrypt((compact, encrypt), query)
        message, seal = self._decrypt(compact, token)
        format_, fields = parse_body(message)
        return read_push(fields, format_, seal)

    def _verify_query(self, query: Mapping[str, str]) -> None:
        given, timestamp, nonce = _read_signature(query, "signature")
        if self._signing_token(given, timestamp, nonce) is None:
            raise PushRefusedError(Refusal.WRONG_SIGNATURE)
        self._check_age(timestamp)

    def _verify_encrypt(self, spellings: tuple[str, str], query: Mapping[str, str]) -> str:
        """The token that signed one of the spellings."""
        given, timestamp, nonce = _read_signature(query, "msg_signature")
        for encrypt in spellings:
            token = self._signing_token(given, timestamp, nonce, encrypt)
            if token is not None:
                self._check_age(timestamp)
                return token
        # The signature that leaves the body out distinguishes a wrong token from a changed body.
        without_body = query.get("signature") or ""
        token_is_right = self._signing_token(without_body, timestamp, nonce) is not None
        raise PushRefusedError(
            Refusal.REENCODED_BODY if token_is_right else Refusal.WRONG_SIGNATURE
        )

    def _signing_token(self, given: str, *parts: str) -> str | None:
        for token in self._tokens:
            if signatures_equal(given, sign_parts(token, *parts)):
                return token
        return None

    def _check_age(self, timestamp: str) -> None:
        # Only after the signature: "stale" then means WeChat's own query, and not any forgery.
        if self._max_age_seconds and abs(self._clock() - int(timestamp)) > self._max_age_seconds:
            raise PushRefusedError(Refusal.STALE)

    def _decrypt(self, encrypt: str, token: str) -> tuple[bytes, Seal]:
        faults: list[FrameFault] = []
        for seal in self._seals:
            if seal.token != token:
                continue
            try:
                return seal.cipher.decrypt(encrypt), seal
            except FrameError as error:
                faults.append(error.reason)
        # A wrong key practically never gets as far as the AppID, so this is the telling fault.
        wrong_app = FrameFault.WRONG_APP_ID in faults
        raise PushRefusedError(Refusal.WRONG_APP_ID if wrong_app else Refusal.UNDECRYPTABLE)


def transfer_reply(push: Push, *, nonce: str, now: int) -> str:
    """Return the answer that hands this message to WeChat's own service tool (section 7.6).

    In the push's format, and sealed when the push was, with the same keys (section 8.3). `nonce` is
    that of the push's query, `now` in seconds. Its effect in a sub-merchant's conversation is not
    documented, so the caller decides. Raises `ValueError` for events.
    """
    if push.kind == EVENT:
        raise ValueError("events cannot be transferred")
    transfer = _transfer_json if push.format is BodyFormat.JSON else _transfer_xml
    reply = transfer(push, now)
    if push.seal is None:
        return reply
    return seal_reply(push.seal, reply, timestamp=now, nonce=nonce, format=push.format)


def _transfer_xml(push: Push, now: int) -> str:
    return (
        f"<xml><ToUserName>{cdata(push.openid)}</ToUserName>"
        f"<FromUserName>{cdata(push.account)}</FromUserName>"
        f"<CreateTime>{now}</CreateTime>"
        f"<MsgType>{cdata(_TRANSFER)}</MsgType></xml>"
    )


def _transfer_json(push: Push, now: int) -> str:
    reply = {
        "ToUserName": push.openid,
        "FromUserName": push.account,
        "CreateTime": now,
        "MsgType": _TRANSFER,
    }
    return json.dumps(reply, separators=(",", ":"))


def _seals(keys: Sequence[PushKeys], app_id: str) -> tuple[Seal, ...]:
    """Every token with every key, the current ones first."""
    ciphers = {pair.encoding_aes_key: FrameCipher(pair.encoding_aes_key, app_id) for pair in keys}
    return tuple(Seal(pair.token, cipher) for cipher in ciphers.values() for pair in keys)


def _parameter(query: Mapping[str, str], name: str) -> str:
    value = query.get(name)
    if not isinstance(value, str) or not value:
        raise PushRefusedError(Refusal.MISSING_PARAMETER)
    if len(value) > MAX_PARAMETER_LENGTH:
        raise PushRefusedError(Refusal.MALFORMED)
    return value


def _read_signature(query: Mapping[str, str], name: str) -> tuple[str, str, str]:
    """The signature of that name, and the timestamp and the nonce that it covers."""
    given, timestamp = _parameter(query, name), _parameter(query, "timestamp")
    nonce = _parameter(query, "nonce")
    if timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MAX_TIMESTAMP_DIGITS:
        return given, timestamp, nonce
    raise PushRefusedError(Refusal.MALFORMED)
