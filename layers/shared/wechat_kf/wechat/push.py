"""Receiving WeChat's pushes: verify, decrypt and parse in one call that cannot be half done.

    opener = PushOpener(app_id=..., mode=PushMode.SECURE, keys=[PushKeys(token, aes_key)])
    push = opener.open(raw_body, query)

Source: `reference/wechat.md` section 7, after
https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

from wechat_kf.wechat.crypto import (
    BodyFormat,
    FrameCipher,
    FrameError,
    FrameFault,
    cdata,
    seal_reply,
    signature,
    signatures_equal,
)
from wechat_kf.wechat.push_body import MAX_BODY_BYTES, BodyError, parse_body
from wechat_kf.wechat.push_fields import EVENT, MAIN_ACCOUNT, Push, push_of

__all__ = [
    "MAIN_ACCOUNT",
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


class PushMode(StrEnum):
    """How the console is set up: 明文模式, 兼容模式, 安全模式 (section 7.0)."""

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


class _Signed(NamedTuple):
    """What every signature covers besides the token."""

    timestamp: str
    nonce: str


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
        self._ciphers = () if mode is PushMode.PLAIN else _ciphers(keys, app_id)
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
            encrypted = self._announces_encryption(query)
            content = self._decrypt(body, query) if encrypted else self._plain(body, query)
            return push_of(content.fields, content.format)
        except BodyError:
            raise PushRefusedError(Refusal.MALFORMED) from None

    def seal(self, message: str, *, nonce: str, format: BodyFormat) -> str:  # noqa: A002
        """Return `message` as the answer to a push: encrypted in secure mode, else as it is.

        `nonce` is that of the push's query. For answers other than `success` and the empty one.
        """
        if self._mode is not PushMode.SECURE:
            return message
        return seal_reply(
            self._ciphers[0],
            self._tokens[0],
            message.encode(),
            timestamp=int(self._clock()),
            nonce=nonce,
            format=format,
        )

    def _announces_encryption(self, query: Mapping[str, str]) -> bool:
        encrypt_type = query.get("encrypt_type") or "raw"
        if self._mode is PushMode.SECURE:
            return True
        if encrypt_type == "aes":
            if self._mode is PushMode.PLAIN:
                raise PushRefusedError(Refusal.ENCRYPTED)
            return True
        if encrypt_type != "raw":
            raise PushRefusedError(Refusal.MALFORMED)
        return False

    def _plain(self, body: bytes, query: Mapping[str, str]) -> "_Content":
        self._verify_query(query)
        content = _Content(*parse_body(body))
        # WeChat never sends both: someone took the query's encrypt_type away to be believed
        # without msg_signature, or console and settings differ.
        if "Encrypt" in content.fields:
            raise PushRefusedError(Refusal.ENCRYPTED)
        return content

    def _decrypt(self, body: bytes, query: Mapping[str, str]) -> "_Content":
        # Before the signature is checked, the envelope is read for `Encrypt` alone.
        encrypt = parse_body(body)[1].get("Encrypt")
        if encrypt is None:
            raise PushRefusedError(Refusal.NOT_ENCRYPTED)
        if not isinstance(encrypt, str):
            raise BodyError("Encrypt is no text")
        # Base64 has no blanks: those come from whoever printed the body prettily. The signature
        # covers the text as WeChat wrote it, so either spelling may be the signed one.
        compact = "".join(encrypt.split())
        self._verify_encrypt({compact, encrypt}, query)
        return _Content(*parse_body(self._decrypt_frame(compact)))

    def _verify_query(self, query: Mapping[str, str]) -> None:
        given = _parameter(query, "signature")
        signed = _signed(query)
        if not self._matches(given, *signed):
            raise PushRefusedError(Refusal.WRONG_SIGNATURE)
        self._check_age(signed)

    def _verify_encrypt(self, spellings: set[str], query: Mapping[str, str]) -> None:
        given = _parameter(query, "msg_signature")
        signed = _signed(query)
        if not any(self._matches(given, *signed, encrypt) for encrypt in spellings):
            raise PushRefusedError(self._diagnosis(query, signed))
        self._check_age(signed)

    def _diagnosis(self, query: Mapping[str, str], signed: _Signed) -> Refusal:
        """Tell a wrong token from a changed body by the signature that leaves the body out."""
        token_is_right = self._matches(query.get("signature"), *signed)
        return Refusal.REENCODED_BODY if token_is_right else Refusal.WRONG_SIGNATURE

    def _matches(self, given: object, *parts: str) -> bool:
        return isinstance(given, str) and any(
            signatures_equal(given, signature(token, *parts)) for token in self._tokens
        )

    def _check_age(self, signed: _Signed) -> None:
        # Only after the signature: "stale" then means WeChat's own query, and not any forgery.
        age = abs(self._clock() - int(signed.timestamp))
        if self._max_age_seconds and age > self._max_age_seconds:
            raise PushRefusedError(Refusal.STALE)

    def _decrypt_frame(self, encrypt: str) -> bytes:
        faults: list[FrameFault] = []
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(encrypt)
            except FrameError as error:
                faults.append(error.reason)
        # A wrong key practically never gets as far as the AppID, so this is the telling fault.
        wrong_app = FrameFault.WRONG_APP_ID in faults
        raise PushRefusedError(Refusal.WRONG_APP_ID if wrong_app else Refusal.UNDECRYPTABLE)


def transfer_reply(push: Push, *, now: int) -> str:
    """Return the answer that hands this message to WeChat's own service tool (section 7.6).

    In the format of the push; pass it through `PushOpener.seal`. The reference advises against
    it for sub-merchants, which is the caller's choice. Raises ValueError for events.
    """
    if push.kind == EVENT:
        raise ValueError("events cannot be transferred")
    if push.format is BodyFormat.XML:
        return (
            f"<xml><ToUserName>{cdata(push.openid)}</ToUserName>"
            f"<FromUserName>{cdata(push.account)}</FromUserName>"
            f"<CreateTime>{now}</CreateTime>"
            f"<MsgType>{cdata('transfer_customer_service')}</MsgType></xml>"
        )
    reply = {
        "ToUserName": push.openid,
        "FromUserName": push.account,
        "CreateTime": now,
        "MsgType": "transfer_customer_service",
    }
    return json.dumps(reply, ensure_ascii=False, separators=(",", ":"))


class _Content(NamedTuple):
    """Fields that the signature vouches for, as far as WeChat's mode lets it."""

    format: BodyFormat
    fields: dict[str, Any]


def _ciphers(keys: Sequence[PushKeys], app_id: str) -> tuple[FrameCipher, ...]:
    distinct = dict.fromkeys(pair.encoding_aes_key for pair in keys)
    return tuple(FrameCipher(key, app_id) for key in distinct)


def _parameter(query: Mapping[str, str], name: str) -> str:
    value = query.get(name)
    if not isinstance(value, str) or not value:
        raise PushRefusedError(Refusal.MISSING_PARAMETER)
    if len(value) > MAX_PARAMETER_LENGTH:
        raise PushRefusedError(Refusal.MALFORMED)
    return value


def _signed(query: Mapping[str, str]) -> _Signed:
    timestamp = _parameter(query, "timestamp")
    is_number = timestamp.isascii() and timestamp.isdigit()
    if not is_number or len(timestamp) > MAX_TIMESTAMP_DIGITS:
        raise PushRefusedError(Refusal.MALFORMED)
    return _Signed(timestamp, _parameter(query, "nonce"))
