"""Makes pushes as WeChat would, and pushes that are wrong in exactly one way.

    body, query = Console(format="json").push(MESSAGES["text"])

Signs and encrypts by itself, from docs/wechat-api.md alone, so that a mistake of the code under
test is not repeated here. Writes as WeChat does: a template, with nothing escaped in it.
"""

import base64
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener, Refusal

_COMMON = {"ToUserName": "gh_97417a04a28d", "FromUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"}
_AT = {**_COMMON, "CreateTime": 1482048670}
_ID = {"MsgId": 22923519871373703}

# Every documented type, in the order of WeChat's fields, and some that are not documented.
MESSAGES: dict[str, dict[str, Any]] = {
    "text": {**_AT, "MsgType": "text", "Content": "请问 <几天> 发货? & 👩‍👩‍👧 [微笑] ]]>", **_ID},
    "image": {
        **_AT,
        "MsgType": "image",
        "PicUrl": "https://p.test/1",
        "MediaId": "media_id",
        **_ID,
    },
    "miniprogrampage": {
        **_AT,
        "MsgType": "miniprogrampage",
        **_ID,
        "Title": "title",
        "AppId": "appid",
        "PagePath": "path",
        "ThumbUrl": "",
        "ThumbMediaId": "",
    },
    "user_enter_tempsession": {
        **_AT,
        "MsgType": "event",
        "Event": "user_enter_tempsession",
        "SessionFrom": "sessionFrom",
    },
    "debug_demo": {**_AT, "MsgType": "event", "Event": "debug_demo", "debug_str": "hello world"},
    "kf_create_session": {
        **_AT,
        "MsgType": "event",
        "Event": "kf_create_session",
        "KfAccount": "a@b",
    },
    "link": {
        **_AT,
        "MsgType": "link",
        "Title": "t",
        "Description": "d",
        "Url": "https://u",
        **_ID,
    },
    "brand_new": {**_AT, "MsgType": "brand_new", "Deep": {"Er": {"Than": "before"}}},
}
KNOWN = frozenset({"text", "image", "miniprogrampage", "user_enter_tempsession"})


class Request(NamedTuple):
    """What arrives at the push URL."""

    body: bytes
    query: dict[str, str]


@dataclass(frozen=True)
class Console:
    """One Mini Program's push configuration, on WeChat's side. Keyword arguments bend a push."""

    app_id: str = "wxba5fad812f8e6fb9"
    token: str = "AAAAA"
    encoding_aes_key: str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    mode: str = "secure"
    format: str = "xml"
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def push(self, fields: Mapping[str, Any], **bent: Any) -> Request:
        """A valid push of `fields`; see `wrap` for what can be bent."""
        return self.wrap(self.render(fields), **bent)

    def wrap(
        self,
        message: bytes,
        *,
        encrypt: str | None = None,
        envelope: Callable[[str], bytes] | None = None,
        **query: str,
    ) -> Request:
        """A valid push of `message`, however broken that is.

        `encrypt` replaces the ciphertext, and is signed; `envelope` makes the body of it after
        signing; any other argument replaces that query parameter before signing.
        """
        if self.mode == "plain":
            return Request(message, self.signed({**query}))
        encrypt = self.encrypt(message) if encrypt is None else encrypt
        body = (envelope or self.envelope)(encrypt)
        if self.mode == "compatible" and envelope is None:
            body = self._beside(message, encrypt)
        return Request(body, self.signed({"encrypt_type": "aes", **query}, encrypt))

    def verification(self, echostr: str = "4375120948345356249") -> dict[str, str]:
        """The query of a URL verification."""
        return self.signed({"echostr": echostr})

    def signed(self, query: dict[str, str], encrypt: str | None = None) -> dict[str, str]:
        """`query` with time, nonce and the signatures that it lacks."""
        signed = {"timestamp": str(int(self.clock())), "nonce": "486452656", **query}
        parts = [self.token, signed["timestamp"], signed["nonce"]]
        signed.setdefault("signature", sha1_of(*parts))
        signed.setdefault("openid", _COMMON["FromUserName"])
        if encrypt is not None:
            signed.setdefault("msg_signature", sha1_of(*parts, encrypt))
        return signed

    def render(self, fields: Mapping[str, Any]) -> bytes:
        """`fields` as WeChat writes them; a text may be `bytes`, however broken."""
        return (
            _json_value(fields) if self.format == "json" else b"<xml>%b</xml>" % _elements(fields)
        )

    def envelope(self, encrypt: str) -> bytes:
        return self.render({"ToUserName": _COMMON["ToUserName"], "Encrypt": encrypt})

    def encrypt(self, message: bytes) -> str:
        return self.encrypt_frame(frame_of(message, self.app_id.encode()))

    def encrypt_frame(self, frame: bytes, pad: bytes | None = None) -> str:
        if pad is None:
            count = 32 - len(frame) % 32
            pad = bytes([count]) * count
        key = base64.b64decode(self.encoding_aes_key + "=")
        encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
        return base64.b64encode(encryptor.update(frame + pad) + encryptor.finalize()).decode()

    def opener(self, **changed: Any) -> PushOpener:
        """The receiver that is configured like this console."""
        settings: dict[str, Any] = {
            "app_id": self.app_id,
            "mode": PushMode(self.mode),
            "keys": [PushKeys(self.token, self.encoding_aes_key)],
            "clock": self.clock,
        }
        return PushOpener(**{**settings, **changed})

    def _beside(self, message: bytes, encrypt: str) -> bytes:
        """Compatible mode: the plain fields with `Encrypt` next to them."""
        if self.format == "json":
            return message[:-1] + f',"Encrypt":"{encrypt}"}}'.encode()
        return message.removesuffix(b"</xml>") + _elements({"Encrypt": encrypt}) + b"</xml>"


class BrokenPush(NamedTuple):
    """A push that must be refused: how it is made, and the reason that must be given."""

    name: str
    build: Callable[[Console], Request]
    refusal: Refusal


def sha1_of(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()  # noqa: S324


def frame_of(message: bytes, app_id: bytes, length: int | None = None) -> bytes:
    size = len(message) if length is None else length
    return os.urandom(16) + size.to_bytes(4, "big") + message + app_id


def _elements(fields: Mapping[str, Any]) -> bytes:
    return b"".join(
        b"<%b>%b</%b>" % (name.encode(), _xml_value(value), name.encode())
        for name, value in fields.items()
    )


def _xml_value(value: object) -> bytes:
    if isinstance(value, dict):
        return _elements(value)
    if isinstance(value, int):
        return str(value).encode()
    return b"<![CDATA[%b]]>" % _bytes(value)


def _json_value(value: object) -> bytes:
    if isinstance(value, dict):
        members = (b'"%b":%b' % (name.encode(), _json_value(v)) for name, v in value.items())
        return b"{%b}" % b",".join(members)
    if value is None or isinstance(value, bool | int | float | list):
        return json.dumps(value, ensure_ascii=False).encode()
    return b'"%b"' % _bytes(value).replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _bytes(text: object) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")


def _without(request: Request, *names: str) -> Request:
    return Request(request.body, {n: v for n, v in request.query.items() if n not in names})


def _with(request: Request, **query: str) -> Request:
    return Request(request.body, {**request.query, **query})


def _text(console: Console, **bent: Any) -> Request:
    return console.push(MESSAGES["text"], **bent)


def _bent(**fields: Any) -> Callable[[Console], Request]:
    return lambda c: c.push({**MESSAGES["text"], **fields})


def _lacking(name: str) -> Callable[[Console], Request]:
    return lambda c: c.push({n: v for n, v in MESSAGES["text"].items() if n != name})


def _json(message: bytes) -> Callable[[Console], Request]:
    return lambda c: replace(c, format="json").wrap(message)


def _xml(message: bytes) -> Callable[[Console], Request]:
    return lambda c: replace(c, format="xml").wrap(message)


def _json_text(name: str, literal: str) -> Callable[[Console], Request]:
    """A JSON text message with one more field, written as `literal`."""
    known = {n: v for n, v in MESSAGES["text"].items() if n != name}
    return _json(json.dumps(known)[:-1].encode() + f', "{name}": {literal}}}'.encode())


def _json_and(name: str, literal: str) -> Callable[[Console], Request]:
    """A JSON text message with a field more than it should have."""
    return _json(_json_value(MESSAGES["text"])[:-1] + f',"{name}":{literal}}}'.encode())


def _shifted(seconds: int) -> Callable[[Console], Request]:
    return lambda c: _text(c, timestamp=str(int(c.clock()) + seconds))


def _swapped_body(console: Console) -> Request:
    return Request(_text(console).body, _text(console).query)


def _upper_signature(console: Console) -> Request:
    request = _text(console)
    return _with(request, msg_signature="A" + request.query["msg_signature"].upper()[1:])


def _xml_text(prolog: str, content: str) -> bytes:
    fields = _elements({n: v for n, v in MESSAGES["text"].items() if n != "Content"})
    return prolog.encode() + b"<xml>%b<Content>%b</Content></xml>" % (fields, content.encode())


def _xml_and(more: str) -> Callable[[Console], Request]:
    """An XML text message with more elements than it should have."""
    return _xml(b"<xml>%b%b</xml>" % (_elements(MESSAGES["text"]), more.encode()))


_LAUGHS = (
    '<!DOCTYPE xml [<!ENTITY a "haha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
_EXTERNAL = '<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
_DOCTYPE = b"<!DOCTYPE xml SYSTEM 'http://127.0.0.1/x.dtd'><xml><Encrypt>AAAA</Encrypt></xml>"

# All against a receiver in secure mode; valid for a console of either format.
BROKEN_PUSHES: list[BrokenPush] = [
    # Query
    BrokenPush("no query", lambda c: Request(_text(c).body, {}), Refusal.MISSING_PARAMETER),
    *(
        BrokenPush(
            f"no {name}",
            lambda c, name=name: _without(_text(c), name),  # type: ignore[misc]
            Refusal.MISSING_PARAMETER,
        )
        for name in ("msg_signature", "timestamp", "nonce")
    ),
    BrokenPush("empty nonce", lambda c: _text(c, nonce=""), Refusal.MISSING_PARAMETER),
    BrokenPush("timestamp no number", lambda c: _text(c, timestamp="now"), Refusal.MALFORMED),
    BrokenPush("timestamp negative", lambda c: _text(c, timestamp="-1"), Refusal.MALFORMED),
    BrokenPush("timestamp endless", lambda c: _text(c, timestamp="1" * 17), Refusal.MALFORMED),
    BrokenPush("timestamp other digits", lambda c: _text(c, timestamp="١٢٣"), Refusal.MALFORMED),
    BrokenPush("nonce endless", lambda c: _text(c, nonce="1" * 513), Refusal.MALFORMED),
    BrokenPush("too old", _shifted(-601), Refusal.STALE),
    BrokenPush("from the future", _shifted(660), Refusal.STALE),
    # Signature
    BrokenPush(
        "another token",
        lambda c: _text(replace(c, token="BBBBB")),
        Refusal.WRONG_SIGNATURE,
    ),
    BrokenPush(
        "msg_signature of another time",
        lambda c: _with(_text(c), timestamp=str(int(c.clock()) - 1)),
        Refusal.WRONG_SIGNATURE,
    ),
    BrokenPush(
        "signature in place of msg_signature",
        lambda c: _with(_text(c), msg_signature=_text(c).query["signature"]),
        Refusal.REENCODED_BODY,
    ),
    BrokenPush("msg_signature in capitals", _upper_signature, Refusal.REENCODED_BODY),
    BrokenPush(
        "msg_signature cut short",
        lambda c: _with(_text(c), msg_signature=_text(c).query["msg_signature"][:-1]),
        Refusal.REENCODED_BODY,
    ),
    BrokenPush(
        "msg_signature not ASCII",
        lambda c: _with(_text(c), msg_signature="签名"),
        Refusal.REENCODED_BODY,
    ),
    BrokenPush("body of another push", _swapped_body, Refusal.REENCODED_BODY),
    BrokenPush(
        "Encrypt changed",
        lambda c: _text(c, envelope=lambda e: c.envelope("/" + e[1:] if e[0] != "/" else "A" + e)),
        Refusal.REENCODED_BODY,
    ),
    BrokenPush(
        "Encrypt decoded as if from a form",
        lambda c: _text(c, envelope=lambda e: c.envelope("A " + e.replace("+", " "))),
        Refusal.REENCODED_BODY,
    ),
    # Downgrades
    BrokenPush(
        "plain body",
        lambda c: _text(replace(c, mode="plain")),
        Refusal.NOT_ENCRYPTED,
    ),
    BrokenPush(
        "plain body announced as encrypted",
        lambda c: _with(_text(replace(c, mode="plain")), encrypt_type="aes", msg_signature="0"),
        Refusal.NOT_ENCRYPTED,
    ),
    BrokenPush(
        "plain body of compatible mode",
        lambda c: _text(c, envelope=lambda _: c.render(MESSAGES["text"])),
        Refusal.NOT_ENCRYPTED,
    ),
    # Frame
    BrokenPush(
        "another AppID",
        lambda c: _text(replace(c, app_id="wx0000000000000000")),
        Refusal.WRONG_APP_ID,
    ),
    BrokenPush(
        "longer AppID", lambda c: _text(replace(c, app_id=c.app_id + "0")), Refusal.WRONG_APP_ID
    ),
    BrokenPush(
        "another AES key",
        lambda c: _text(replace(c, encoding_aes_key="B" * 43)),
        Refusal.UNDECRYPTABLE,
    ),
    BrokenPush("Encrypt empty", lambda c: _text(c, encrypt=""), Refusal.UNDECRYPTABLE),
    BrokenPush("Encrypt no base64", lambda c: _text(c, encrypt="你好!"), Refusal.UNDECRYPTABLE),
    BrokenPush(
        "Encrypt no whole blocks", lambda c: _text(c, encrypt="QUJD" * 4), Refusal.UNDECRYPTABLE
    ),
    BrokenPush(
        "padding of zero",
        lambda c: c.wrap(b"", encrypt=c.encrypt_frame(b"x" * 16, bytes(16))),
        Refusal.UNDECRYPTABLE,
    ),
    BrokenPush(
        "padding of 33",
        lambda c: c.wrap(b"", encrypt=c.encrypt_frame(b"x" * 31, bytes([33]) * 33)),
        Refusal.UNDECRYPTABLE,
    ),
    BrokenPush(
        "padding longer than the frame",
        lambda c: c.wrap(b"", encrypt=c.encrypt_frame(b"", bytes([17]) * 16)),
        Refusal.UNDECRYPTABLE,
    ),
    BrokenPush(
        "frame shorter than its head",
        lambda c: c.wrap(b"", encrypt=c.encrypt_frame(b"x" * 12)),
        Refusal.UNDECRYPTABLE,
    ),
    BrokenPush(
        "frame length beyond its end",
        lambda c: c.wrap(
            b"", encrypt=c.encrypt_frame(frame_of(b"x", c.app_id.encode(), 0xFFFFFFFF))
        ),
        Refusal.UNDECRYPTABLE,
    ),
    # Envelope
    BrokenPush("no body", lambda c: Request(b"", _text(c).query), Refusal.MALFORMED),
    BrokenPush("blank body", lambda c: Request(b" \n\t", _text(c).query), Refusal.MALFORMED),
    BrokenPush("form body", lambda c: Request(b"a=1&b=2", _text(c).query), Refusal.MALFORMED),
    BrokenPush("JSON list", lambda c: Request(b'["Encrypt"]', _text(c).query), Refusal.MALFORMED),
    BrokenPush(
        "body cut short", lambda c: Request(_text(c).body[:-3], _text(c).query), Refusal.MALFORMED
    ),
    BrokenPush("too large", lambda c: Request(b" " * 262145, _text(c).query), Refusal.TOO_LARGE),
    BrokenPush(
        "another root",
        lambda c: _text(c, envelope=lambda e: f"<x><Encrypt>{e}</Encrypt></x>".encode()),
        Refusal.MALFORMED,
    ),
    BrokenPush(
        "Encrypt twice",
        lambda c: _text(
            c,
            envelope=lambda e: f"<xml><Encrypt>{e}</Encrypt><Encrypt>{e}</Encrypt></xml>".encode(),
        ),
        Refusal.MALFORMED,
    ),
    BrokenPush(
        "Encrypt an object",
        lambda c: _text(c, envelope=lambda e: c.render({"Encrypt": {"Encrypt": e}})),
        Refusal.MALFORMED,
    ),
    BrokenPush("DTD", lambda c: _text(c, envelope=lambda _: _DOCTYPE), Refusal.MALFORMED),
    # Message, correctly signed and encrypted
    BrokenPush("empty message", lambda c: c.wrap(b""), Refusal.MALFORMED),
    BrokenPush("entities", _xml(_xml_text(_LAUGHS, "&c;")), Refusal.MALFORMED),
    BrokenPush("external entity", _xml(_xml_text(_EXTERNAL, "&a;")), Refusal.MALFORMED),
    BrokenPush("unknown entity", _xml(_xml_text("", "&nbsp;")), Refusal.MALFORMED),
    BrokenPush("XML without fields", _xml(b"<xml>text</xml>"), Refusal.MALFORMED),
    BrokenPush(
        "XML in UTF-16", _xml(_xml_text("", "?").decode().encode("utf-16-le")), Refusal.MALFORMED
    ),
    BrokenPush(
        "XML too deep", _xml_and(f"<New>{'<a>' * 32}{'</a>' * 32}</New>"), Refusal.MALFORMED
    ),
    BrokenPush("XML after the end", _xml(_xml_text("", "") + b"<xml/>"), Refusal.MALFORMED),
    BrokenPush("sender twice", _xml_and("<FromUserName>o1</FromUserName>"), Refusal.MALFORMED),
    BrokenPush("text twice", _xml_and("<Content>other</Content>"), Refusal.MALFORMED),
    BrokenPush(
        "JSON after the end",
        _json(json.dumps(MESSAGES["text"]).encode() + b"{}"),
        Refusal.MALFORMED,
    ),
    BrokenPush("sender twice in JSON", _json_and("FromUserName", '"o1"'), Refusal.MALFORMED),
    BrokenPush("sender not UTF-8", _bent(FromUserName=b"o1\xff"), Refusal.MALFORMED),
    BrokenPush("sender with a mark", _bent(FromUserName="o1]]>"), Refusal.MALFORMED),
    BrokenPush("JSON too deep", _json_text("x", "[" * 32 + "]" * 32), Refusal.MALFORMED),
    BrokenPush("JSON bottomless", _json_text("x", "[" * 50000), Refusal.MALFORMED),
    BrokenPush("JSON NaN", _json_text("x", "NaN"), Refusal.MALFORMED),
    BrokenPush("JSON infinite", _json_text("x", "1e999"), Refusal.MALFORMED),
    BrokenPush("JSON number of 5000 digits", _json_text("x", "9" * 5000), Refusal.MALFORMED),
    BrokenPush("MsgId a float", _json_text("MsgId", "1e20"), Refusal.MALFORMED),
    BrokenPush("MsgId a fraction", _json_text("MsgId", "1.5"), Refusal.MALFORMED),
    BrokenPush("MsgId true", _json_text("MsgId", "true"), Refusal.MALFORMED),
    BrokenPush("MsgId with a separator", _bent(MsgId="1|2"), Refusal.MALFORMED),
    BrokenPush("BusinessId negative zero", _json_text("BusinessId", "-0.0"), Refusal.MALFORMED),
    BrokenPush("BusinessId an object", _bent(BusinessId={"a": "1"}), Refusal.MALFORMED),
    BrokenPush("BusinessId of 21 digits", _bent(BusinessId=10**20), Refusal.MALFORMED),
    BrokenPush("BusinessId with a separator", _bent(BusinessId="1#2"), Refusal.MALFORMED),
    *(
        BrokenPush(f"no {name}", _lacking(name), Refusal.MALFORMED)
        for name in ("ToUserName", "FromUserName", "CreateTime", "MsgType")
    ),
    BrokenPush("sender empty", _bent(FromUserName=""), Refusal.MALFORMED),
    BrokenPush("sender with a separator", _bent(FromUserName="o1#o2"), Refusal.MALFORMED),
    BrokenPush("sender endless", _bent(FromUserName="o" * 129), Refusal.MALFORMED),
    BrokenPush("CreateTime no number", _bent(CreateTime="today"), Refusal.MALFORMED),
    BrokenPush("CreateTime impossible", _bent(CreateTime=2**40), Refusal.MALFORMED),
    BrokenPush("MsgType endless", _bent(MsgType="t" * 129), Refusal.MALFORMED),
    BrokenPush("Event an object", _bent(MsgType="event", Event={"a": "b"}), Refusal.MALFORMED),
    BrokenPush("Content an object", _bent(Content={"a": "b"}), Refusal.MALFORMED),
]
