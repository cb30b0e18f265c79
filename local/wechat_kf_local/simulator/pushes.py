"""Pushes as WeChat makes them: fields, XML or JSON, signed and encrypted (sections 7 and 8)."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import defusedxml.ElementTree as SafeTree

from wechat_kf.wechat.crypto import FrameCipher, FrameError, sign_parts, signatures_equal
from wechat_kf_local.simulator.settings import Settings

Fields = dict[str, str | int]

_ESCAPED_IN_JSON: Final = str.maketrans(
    {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
)


@dataclass(frozen=True, slots=True)
class PushRequest:
    """One push, ready to be posted."""

    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str

    def described(self) -> dict[str, Any]:
        return {
            "query": dict(self.query),
            "body_base64": base64.b64encode(self.body).decode(),
            "content_type": self.content_type,
        }


class Verdict(StrEnum):
    """How WeChat takes the answer to a push."""

    ACCEPTED = "accepted"
    TRANSFER = "transfer"
    BAD = "bad"


class PushMaker:
    """Makes the pushes of one configuration, and reads the answers to them."""

    def __init__(self, settings: Settings, *, mode: str, body_format: str) -> None:
        self._settings = settings
        self._mode = mode
        self._format = body_format
        self._cipher = FrameCipher(settings.encoding_aes_key, settings.app_id)

    def make(self, fields: Fields, *, timestamp: str, nonce: str) -> PushRequest:
        """Sign, and encrypt as the mode says. The body's header is not documented."""
        settings = self._settings
        query = {
            "signature": sign_parts(settings.token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
        }
        if self._mode != "plain" or settings.openid_in_plain_query:
            query["openid"] = str(fields["FromUserName"])
        if self._mode == "plain":
            return PushRequest(query, self._rendered(fields), self._content_type)
        encrypt = self._cipher.encrypt(self._rendered(fields))
        query["encrypt_type"] = "aes"
        query["msg_signature"] = sign_parts(settings.token, timestamp, nonce, encrypt)
        around = fields if self._mode == "compatible" else {"ToUserName": fields["ToUserName"]}
        return PushRequest(
            query, self._rendered({**around, "Encrypt": encrypt}), self._content_type
        )

    def verification(self, echostr: str, *, timestamp: str, nonce: str) -> dict[str, str]:
        """The query of the GET that verifies the URL; `echostr` is never encrypted."""
        signed = sign_parts(self._settings.token, timestamp, nonce)
        query = {"signature": signed, "timestamp": timestamp, "nonce": nonce}
        return query | {"echostr": echostr}

    def judge(self, status: int, body: bytes, *, to_message: bool) -> Verdict:
        """Only `success`, the empty body and, to a message, a proper transfer are good answers."""
        if status != 200:
            return Verdict.BAD
        if body in (b"", b"success"):
            return Verdict.ACCEPTED
        if to_message and self._is_transfer(body):
            return Verdict.TRANSFER
        return Verdict.BAD

    @property
    def _content_type(self) -> str:
        return "text/xml" if self._format == "xml" else "application/json"

    def _rendered(self, fields: Fields) -> bytes:
        """Fill WeChat's template, which escapes no more than is seen here (section 7.5)."""
        if self._format == "json":
            members = ",".join(f'"{name}":{_json(value)}' for name, value in fields.items())
            text = f"{{{members}}}"
        else:
            elements = "".join(f"<{name}>{_xml(value)}</{name}>" for name, value in fields.items())
            text = f"<xml>{elements}</xml>"
        return text.encode()

    def _is_transfer(self, body: bytes) -> bool:
        answer = _fields_of(body)
        if self._mode != "plain" and "Encrypt" in answer:
            answer = self._opened(answer)
        elif self._mode == "secure":
            return False
        return answer.get("MsgType") == "transfer_customer_service"

    def _opened(self, sealed: Mapping[str, str]) -> dict[str, str]:
        parts = (sealed["Encrypt"], sealed.get("TimeStamp", ""), sealed.get("Nonce", ""))
        expected = sign_parts(self._settings.token, *parts)
        if not signatures_equal(expected, sealed.get("MsgSignature", "")):
            return {}
        try:
            return _fields_of(self._cipher.decrypt(sealed["Encrypt"]))
        except FrameError:
            return {}


def _fields_of(body: bytes) -> dict[str, str]:
    """The top-level fields of XML or JSON as text; none when it is neither."""
    try:
        if body.lstrip()[:1] == b"{":
            return {name: str(value) for name, value in json.loads(body).items()}
        return {item.tag: item.text or "" for item in SafeTree.fromstring(body)}
    except (ValueError, SyntaxError):  # ParseError is a SyntaxError
        return {}


def _xml(value: str | int) -> str:
    """Numbers bare, texts in CDATA with nothing escaped: neither `]]>` nor control characters."""
    return str(value) if isinstance(value, int) else f"<![CDATA[{value}]]>"


def _json(value: str | int) -> str:
    """Control characters other than line breaks and tabs are written as they are."""
    return str(value) if isinstance(value, int) else f'"{value.translate(_ESCAPED_IN_JSON)}"'
