"""One input, one push: taken apart, bent, signed as WeChat would sign it, and sent down the path.

The signature is computed over what was bent: otherwise every mutation would end at the signature
check, and the parsers behind it would never be reached. The first byte of an input says what the
rest of it bends, the second how the receiver is configured.

Imports nothing of the fuzzer's: the unit tests run this with inputs of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl

from tests.pushes import BROKEN_PUSHES, MESSAGES, Console, Request, frame_of
from wechat_kf.adapters.aws.delivery_body import delivery_from_body, delivery_to_body
from wechat_kf.adapters.aws.fifo import safe_id
from wechat_kf.adapters.aws.inbound_queue import event_from_body, event_to_body
from wechat_kf.adapters.webhooks.webhook import sign
from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.wechat.push import EVENT, Push, PushOpener, PushRefusedError, transfer_reply

NOW: Final = 1714112445
HERE: Final = b"$"
"""In an envelope: where the ciphertext goes."""

CONSOLES: Final = tuple(
    Console(mode=mode, format=format_, clock=lambda: NOW)
    for mode in ("secure", "compatible", "plain")
    for format_ in ("xml", "json")
)
OPENERS: Final[tuple[PushOpener, ...]] = tuple(console.opener() for console in CONSOLES)

_SQS_TEXT: Final = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""

_SQS_ID: Final = re.compile(r"[!-~]{1,128}")

DICTIONARY: Final = (
    *(name.encode() for name in sorted({name for fields in MESSAGES.values() for name in fields})),
    *(b"MsgID", b"BusinessId", b"Encrypt", b"aes", b"raw", b"event", b"text", b"signature"),
    *(b"<xml>", b"</xml>", b"<![CDATA[", b"]]>", b"<!DOCTYPE", b"<!ENTITY", b"<?xml", b"&#0;"),
    *(
        b"]]></Content>",
        b"<Content><![CDATA[",
        b"]]></Title>",
        b"<Title><![CDATA[",
        b"]]></PagePath>",
    ),
    *(
        b"<PagePath><![CDATA[",
        b"<MsgId>6</MsgId>",
        b"<BusinessId>7</BusinessId>",
        b"</xml>",
        b"\x08",
    ),
    *(
        b"<FromUserName><![CDATA[oX]]></FromUserName>",
        b"]]></SessionFrom>",
        b"\xed\xa0\xbd",
        b'\\"',
    ),
    *(b'":{"', b'":[', b"NaN", b"1e999", b"-0", b"\\ud83d", b"\\u0000", b"\xef\xbf\xbf", b"null"),
)
"""Words the fuzzer may put anywhere."""

KINDS: Final = (
    ("text", ("Content",)),
    ("miniprogrampage", ("Title", "AppId", "PagePath", "ThumbUrl", "ThumbMediaId")),
    ("image", ("PicUrl", "MediaId")),
    ("user_enter_tempsession", ("SessionFrom",)),
    ("link", ("Title", "Description", "Url")),
    ("debug_demo", ("debug_str",)),
)
"""Kinds of pushes, and their texts in WeChat's order."""

_PLAIN_MESSAGE: Final = b'{"MsgType":"event"}'


class BrokenPromiseError(AssertionError):
    """The path went through, but what came out is not what it should be."""


def _message(console: Console, payload: bytes) -> Request:
    """Bends what is inside the ciphertext; in plain mode, the body."""
    return console.wrap(payload)


def _frame(console: Console, payload: bytes) -> Request:
    """Bends the frame: its length, its AppID; the padding is right."""
    return console.wrap(_PLAIN_MESSAGE, encrypt=console.encrypt_frame(payload))


def _padding(console: Console, payload: bytes) -> Request:
    """Bends the padding as well; whole blocks, or there would be nothing to decrypt."""
    whole = payload + bytes(-len(payload) % 16)
    return console.wrap(_PLAIN_MESSAGE, encrypt=console.encrypt_frame(whole, b""))


def _ciphertext(console: Console, payload: bytes) -> Request:
    """Bends the text of `Encrypt`, and signs it."""
    return console.wrap(
        _PLAIN_MESSAGE,
        encrypt=payload.decode(errors="replace"),
        envelope=lambda _: b'{"Encrypt":"' + payload + b'"}',
    )


def _envelope(console: Console, payload: bytes) -> Request:
    """Bends everything around a good ciphertext."""
    return replace(console, mode="secure").wrap(
        console.render(MESSAGES["text"]),
        envelope=lambda encrypt: payload.replace(HERE, encrypt.encode()),
    )


def _query(console: Console, payload: bytes) -> Request:
    """Bends the query before it is signed; a signature in it stays as it is."""
    bent = dict(parse_qsl(payload.decode(errors="replace"), keep_blank_values=True))
    request = console.push(MESSAGES["text"])
    signed = {k: v for k, v in request.query.items() if not k.endswith("signature")}
    return Request(request.body, console.signed({**signed, **bent}))


def _unsigned(console: Console, payload: bytes) -> Request:
    """Bends the query after it was signed, and the body: what a stranger can do."""
    text, _, body = payload.partition(b"\n")
    bent = dict(parse_qsl(text.decode("utf-8", "surrogateescape"), errors="surrogateescape"))
    return Request(body, {**console.push(MESSAGES["text"]).query, **bent})


def _text(console: Console, payload: bytes) -> Request:
    """Bends the texts of a genuine push, written unescaped as WeChat does: it must be taken."""
    fields, names, _ = _genuine(payload)
    typed = payload[1:].split(b"\n", maxsplit=len(names) - 1)
    return console.push({**fields, **dict(zip(names, typed, strict=False))})


def _genuine(payload: bytes) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """The push that the first byte chooses, its texts, and its merchant."""
    choice = payload[0] if payload else 0
    kind, names = KINDS[choice % len(KINDS)]
    fields = dict(MESSAGES[kind])
    if choice < 128:
        return fields, names, "0"
    return {**fields, "BusinessId": 42}, names, "42"


BENDS: Final[tuple[Callable[[Console, bytes], Request], ...]] = (
    _message,
    _frame,
    _padding,
    _ciphertext,
    _envelope,
    _query,
    _unsigned,
    _text,
)


def check(data: bytes) -> bool:
    """Send one input down the path; whether it was taken for a push.

    Raises whatever the path raises besides `PushRefusedError`, and `BrokenPromiseError`.
    """
    if len(data) < 2:
        return False
    bend, which = BENDS[data[0] % len(BENDS)], data[1] % len(CONSOLES)
    push = _received(bend(CONSOLES[which], data[2:]), which)
    if bend is _text:
        _promise(push is not None, "a genuine push is never refused for its text")
        _check_identity(push, data[2:])
    return push is not None


def _check_identity(push: Push | None, payload: bytes) -> None:
    fields, _, merchant = _genuine(payload)
    is_same = push is not None and (
        (push.account, push.openid) == (fields["ToUserName"], fields["FromUserName"])
        and (push.kind, push.event) == (fields["MsgType"], fields.get("Event"))
        and (push.created_at, push.business_id) == (fields["CreateTime"], merchant)
        and push.message_id == (str(fields["MsgId"]) if "MsgId" in fields else None)
    )
    _promise(is_same, "no text changes who wrote, to whom, or which message it is")


def _received(request: Request, which: int) -> Push | None:
    console, opener = CONSOLES[which], OPENERS[which]
    _verified(opener, request)
    try:
        push = opener.open(*request)
    except PushRefusedError:
        return None
    event = to_event(push, console.app_id)
    _check_travels(event)
    if push.kind != EVENT:
        transfer_reply(push, nonce=request.query["nonce"], now=NOW).encode()
    return push


def _verified(opener: PushOpener, request: Request) -> None:
    try:
        opener.verify_url({**request.query, "echostr": request.query.get("nonce", "")})
    except PushRefusedError:
        return


def _check_travels(event: Event) -> None:
    """From the push function to a subscriber, without loss."""
    body = event_to_body(event)
    _promise(_SQS_TEXT.fullmatch(body) is not None, "SQS takes the body")
    _promise(event_from_body(body) == event, "the event comes back from the inbound queue")
    for id_ in (safe_id(event.conversation), event.id):
        _promise(_SQS_ID.fullmatch(id_) is not None, "SQS takes the ids")
    delivery = Delivery("0", "sub_1", event, NOW)
    copy = delivery_from_body(delivery_to_body(delivery))
    _promise(copy == delivery, "the event comes back from the deliveries queue")
    sign("whsec_c2VjcmV0", body.encode())


def _promise(kept: bool, promise: str) -> None:
    if not kept:
        raise BrokenPromiseError(promise)


TYPED: Final = (
    *(b"hello", b"a]]>b", b"\x08\x00\x1d", b"\xf0\x9f\x91", b"\xef\xbf\xbe", b"&lt;<!DOCTYPE xml>"),
    *(b"a]]></Content><MsgId>6</MsgId><Content><![CDATA[b", b"]]></Content></xml>"),
    b"t]]></Title><BusinessId>7</BusinessId><Title><![CDATA[\n\n"
    b"p]]></Title><AppId><![CDATA[a]]></AppId><BusinessId>7</BusinessId><PagePath><![CDATA[q",
    b"]]></SessionFrom><Event><![CDATA[x]]></Event><SessionFrom><![CDATA[",
    b'","MsgId":6,"Content":"',
)


def seeds() -> Iterator[bytes]:
    """Inputs to start from: every kind of push, and every broken one, bent in every place."""
    for which, console in enumerate(CONSOLES):
        for choice in (*range(len(KINDS)), *range(130, 130 + len(KINDS))):
            yield from (_input(_text, which, bytes([choice]) + typed) for typed in TYPED)
        for fields in MESSAGES.values():
            yield from _seeds_of(which, console, console.render(fields))
        for broken in BROKEN_PUSHES:
            body, query = broken.build(replace(console, mode="secure"))
            if len(body) < 4096:
                text = "&".join(f"{name}={value}" for name, value in query.items())
                yield _input(_unsigned, which, text.encode() + b"\n" + body)
                yield _input(_envelope, which, body)


def _seeds_of(which: int, console: Console, message: bytes) -> Iterator[bytes]:
    frame = frame_of(message, console.app_id.encode())
    pad = 32 - len(frame) % 32
    yield _input(_message, which, message)
    yield _input(_frame, which, frame)
    yield _input(_padding, which, frame + bytes([pad]) * pad)
    yield _input(_ciphertext, which, console.encrypt(message).encode())
    yield _input(_envelope, which, console.envelope(HERE.decode()))
    yield _input(_query, which, b"timestamp=1714112445&nonce=1&encrypt_type=aes&openid=o1")
    yield _input(_query, which, b"encrypt_type=raw&msg_signature=0&echostr=1")


def _input(bend: Callable[[Console, bytes], Request], which: int, payload: bytes) -> bytes:
    return bytes([BENDS.index(bend), which]) + payload
