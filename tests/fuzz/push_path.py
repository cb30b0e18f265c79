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
from typing import Final
from urllib.parse import parse_qsl

from tests.pushes import BROKEN_PUSHES, MESSAGES, Console, Request, frame_of
from wechat_kf.adapters.aws.queues import (
    delivery_from_body,
    delivery_to_body,
    event_from_body,
    event_to_body,
    safe_id,
)
from wechat_kf.adapters.webhooks.webhook import sign
from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.domain.events import Event
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf.wechat.push import EVENT, PushOpener, PushRefusedError, transfer_reply

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
    *(b'":{"', b'":[', b"NaN", b"1e999", b"-0", b"\\ud83d", b"\\u0000", b"\xef\xbf\xbf", b"null"),
)
"""Words the fuzzer may put anywhere."""

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


BENDS: Final[tuple[Callable[[Console, bytes], Request], ...]] = (
    _message,
    _frame,
    _padding,
    _ciphertext,
    _envelope,
    _query,
    _unsigned,
)


def check(data: bytes) -> bool:
    """Send one input down the path; whether it was taken for a push.

    Raises whatever the path raises besides `PushRefusedError`, and `BrokenPromiseError`.
    """
    if len(data) < 2:
        return False
    bend, which = BENDS[data[0] % len(BENDS)], data[1] % len(CONSOLES)
    return _received(bend(CONSOLES[which], data[2:]), which)


def _received(request: Request, which: int) -> bool:
    console, opener = CONSOLES[which], OPENERS[which]
    _verified(opener, request)
    try:
        push = opener.open(*request)
    except PushRefusedError:
        return False
    event = to_event(push, console.app_id)
    _check_travels(event)
    if push.kind != EVENT:
        transfer_reply(push, nonce=request.query["nonce"], now=NOW).encode()
    return True


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


def seeds() -> Iterator[bytes]:
    """Inputs to start from: every kind of push, and every broken one, bent in every place."""
    for which, console in enumerate(CONSOLES):
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
