"""Signatures and encryption of WeChat's message push.

WeChat signs and encrypts what it pushes, and expects the same of an encrypted answer:
docs/wechat-api.md, section 8, after
https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html

    cipher = FrameCipher(encoding_aes_key, app_id)
    message = cipher.decrypt(encrypt)

No exception of this module carries a key, a signature or any content.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RANDOM_BYTES: Final = 16
HEADER_BYTES: Final = RANDOM_BYTES + 4
# PKCS#7 over blocks of 32, not over AES's 16: pads of 17 to 32 are everyday ones (section 8.1).
PADDING_BLOCK: Final = 32
AES_BLOCK: Final = 16
_ENCODING_AES_KEY: Final = re.compile(r"[A-Za-z0-9+/]{43}")


class BodyFormat(StrEnum):
    """The data format chosen in the console; pushes and answers share it."""

    XML = "xml"
    JSON = "json"


class FrameFault(StrEnum):
    """Why an encrypted frame could not be opened."""

    NOT_BASE64 = "not_base64"
    WRONG_LENGTH = "wrong_length"
    WRONG_PADDING = "wrong_padding"
    WRONG_FRAME = "wrong_frame"
    WRONG_APP_ID = "wrong_app_id"


class FrameError(ValueError):
    """An encrypted frame that cannot be opened; `reason` says why, nothing shows its content."""

    def __init__(self, reason: FrameFault) -> None:
        super().__init__(reason.value)
        self.reason = reason


def sign_parts(*parts: str) -> str:
    """Return WeChat's signature: SHA-1, in lower-case hex, of the sorted and joined parts.

    Any text is accepted, even the lone surrogates that a hostile query string can hold.
    """
    joined = "".join(sorted(parts)).encode("utf-8", "surrogatepass")
    # SHA-1 is WeChat's choice, not ours. `usedforsecurity=False` would be more to the point, but
    # then OpenSSL looks the algorithm up each time, which costs twice the digest.
    return hashlib.sha1(joined).hexdigest()  # noqa: S324


def signatures_equal(a: str, b: str) -> bool:
    """Compare in constant time. Never raises, whatever the text."""
    # compare_digest refuses non-ASCII text, hence the bytes.
    return hmac.compare_digest(
        a.encode("utf-8", "surrogatepass"), b.encode("utf-8", "surrogatepass")
    )


class FrameCipher:
    """Open and make the encrypted frames of one Mini Program (section 8.1).

    The frame is `random(16) + length(4, big-endian) + message + AppID`, padded to 32 bytes,
    in AES-256-CBC, in base64. Decoding the key happens once, here: keep the object. It is for one
    thread at a time.

    Raises ValueError when `encoding_aes_key` is not the 43 base64 characters of the console.
    """

    __slots__ = ("_app_id", "_cipher", "_decryptor", "_iv")

    def __init__(self, encoding_aes_key: str, app_id: str) -> None:
        key = _decode_key(encoding_aes_key)
        self._app_id = app_id.encode()
        # One IV for all messages is WeChat's choice; the random head of the frame makes up for it.
        self._iv = key[:AES_BLOCK]
        self._cipher = Cipher(algorithms.AES(key), modes.CBC(self._iv))
        self._decryptor = self._cipher.decryptor()

    def decrypt(self, encrypt: str) -> bytes:
        """Return the message inside `encrypt` (base64 without blanks).

        Raises FrameError. Verify the signature first: this is not an authenticated encryption.
        """
        # One decryptor for all frames, because making one costs several times what it does here.
        # CBC goes on from the block before: the IV, put before each frame, makes every frame the
        # first, and what the IV itself decrypts to is left out.
        padded = self._decryptor.update(self._iv + _decode_base64(encrypt))[AES_BLOCK:]
        pad = padded[-1]
        if not 1 <= pad <= PADDING_BLOCK or padded[-pad:] != bytes((pad,)) * pad:
            raise FrameError(FrameFault.WRONG_PADDING)
        return self._message_of(padded[:-pad])

    def encrypt(self, message: bytes, *, random: bytes | None = None) -> str:
        """Return the frame around `message`, in base64; `random` (16 bytes) is for tests."""
        head = os.urandom(RANDOM_BYTES) if random is None else random
        if len(head) != RANDOM_BYTES:
            raise ValueError(f"random must be {RANDOM_BYTES} bytes")
        frame = head + len(message).to_bytes(4, "big") + message + self._app_id
        encryptor = self._cipher.encryptor()
        encrypted = encryptor.update(_pad(frame)) + encryptor.finalize()
        return binascii.b2a_base64(encrypted, newline=False).decode("ascii")

    def _message_of(self, frame: bytes) -> bytes:
        end = HEADER_BYTES + int.from_bytes(frame[RANDOM_BYTES:HEADER_BYTES], "big")
        if len(frame) < HEADER_BYTES or end > len(frame):
            raise FrameError(FrameFault.WRONG_FRAME)
        if frame[end:] != self._app_id:
            raise FrameError(FrameFault.WRONG_APP_ID)
        return frame[HEADER_BYTES:end]


@dataclass(frozen=True, slots=True)
class Seal:
    """The token and the cipher that WeChat used for a push, and expects of the answer to it."""

    token: str = field(repr=False)
    cipher: FrameCipher = field(repr=False)


def seal_reply(  # noqa: PLR0913 - the parts of section 8.3, the swappable ones by keyword
    seal: Seal,
    message: str,
    *,
    timestamp: int,
    nonce: str,
    format: BodyFormat,  # noqa: A002 - the name the pushes use
    random: bytes | None = None,
) -> str:
    """Return the encrypted and signed answer to a push (section 8.3).

    Only for answers other than `success` and the empty body, which are never encrypted.
    `timestamp` is the time of the answer in seconds, `nonce` that of the request's query;
    `random` (16 bytes) is for tests.
    """
    encrypt = seal.cipher.encrypt(message.encode(), random=random)
    signed = sign_parts(seal.token, str(timestamp), nonce, encrypt)
    if format is BodyFormat.JSON:
        sealed = {
            "Encrypt": encrypt,
            "MsgSignature": signed,
            "TimeStamp": timestamp,
            "Nonce": nonce,
        }
        return json.dumps(sealed, ensure_ascii=False, separators=(",", ":"))
    return (
        f"<xml><Encrypt>{cdata(encrypt)}</Encrypt>"
        f"<MsgSignature>{cdata(signed)}</MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp>"
        f"<Nonce>{cdata(nonce)}</Nonce></xml>"
    )


def cdata(text: str) -> str:
    """Return `text` as a CDATA section; a `]]>` inside is split over two sections."""
    return "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _decode_key(encoding_aes_key: str) -> bytes:
    if not _ENCODING_AES_KEY.fullmatch(encoding_aes_key):
        raise ValueError("encoding_aes_key must be 43 base64 characters")
    # 43 characters carry 258 bits; the decoder drops the two spare ones, as WeChat's does.
    return binascii.a2b_base64(encoding_aes_key + "=")


def _decode_base64(encrypt: str) -> bytes:
    try:
        encrypted = binascii.a2b_base64(encrypt, strict_mode=True)
    except ValueError:  # binascii.Error is one; non-ASCII text raises a plain one
        raise FrameError(FrameFault.NOT_BASE64) from None
    if not encrypted or len(encrypted) % AES_BLOCK:
        raise FrameError(FrameFault.WRONG_LENGTH)
    return encrypted


def _pad(frame: bytes) -> bytes:
    count = PADDING_BLOCK - len(frame) % PADDING_BLOCK
    return frame + bytes((count,)) * count
