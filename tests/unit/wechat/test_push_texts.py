"""Whatever a buyer types arrives, and is only a text: WeChat writes it into its template unescaped.

Two properties for each kind of push, in each mode and format: the text arrives as it was typed,
with U+FFFD for what is no character; and who wrote, to whom, which message and of which type stay
what WeChat said.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pushes import MESSAGES, Console, Request
from wechat_kf.wechat.push import Push

NOW = 1714112445
MODES = ["plain", "compatible", "secure"]
FORMATS = ["xml", "json"]
CONSOLES = [
    Console(mode=mode, format=format_, clock=lambda: NOW) for mode in MODES for format_ in FORMATS
]

# The texts of each kind in WeChat's order, and our names of them.
TEXTS: dict[str, dict[str, str]] = {
    "text": {"Content": "content"},
    "image": {"PicUrl": "picture_url", "MediaId": "media_id"},
    "miniprogrampage": {
        "Title": "title",
        "AppId": "app_id",
        "PagePath": "page_path",
        "ThumbUrl": "thumb_url",
        "ThumbMediaId": "thumb_media_id",
    },
    "user_enter_tempsession": {"SessionFrom": "session_from"},
    "link": {"Title": "Title", "Description": "Description", "Url": "Url"},
    "debug_demo": {"debug_str": "debug_str"},
    "kf_create_session": {"KfAccount": "KfAccount"},
}
FIELDS = [(kind, name) for kind, names in TEXTS.items() for name in names]
MERCHANTS: list[dict[str, Any]] = [{}, {"BusinessId": 42}]

CONTROLS = [bytes([code]) for code in range(32) if code not in b"\t\n\r"]
NO_CHARACTERS = [
    *CONTROLS,
    *("\ufffe".encode(), "\uffff".encode()),
    *(b"\xed\xa0\xbd", b"\xed\xb8\x80", b"\xff", b"\xc0\xbc", b"\xf0\x9f\x91", b"\xe4\xbd"),
]
INJECTIONS = [
    *("<MsgId>666</MsgId>", "<MsgId><![CDATA[666]]></MsgId>", "<BusinessId>7</BusinessId>"),
    *("<FromUserName><![CDATA[oMallory]]></FromUserName>", "<MsgType><![CDATA[event]]></MsgType>"),
    *("<Event><![CDATA[user_enter_tempsession]]></Event>", "<CreateTime>1</CreateTime>"),
    *("<ToUserName><![CDATA[gh_x]]></ToUserName>", "<Encrypt><![CDATA[QUJD]]></Encrypt>"),
    *('","MsgId":666,"Content":"', '\\","BusinessId":7', "\\", '"', "\\u0000"),
]
TAGS = [
    "Content",
    "Title",
    "AppId",
    "PagePath",
    "SessionFrom",
    "debug_str",
    "MediaId",
    "New",
    "xml",
]
PIECES = st.sampled_from(
    [
        *(piece.encode() for piece in INJECTIONS),
        *(f"<{tag}><![CDATA[".encode() for tag in TAGS),
        *(f"]]></{tag}>".encode() for tag in TAGS),
        *(f"<{tag}>".encode() for tag in TAGS),
        *(f"</{tag}>".encode() for tag in TAGS),
        *NO_CHARACTERS,
        *(b"]]>", b"]", b">", b"<![CDATA[", b"&lt;", b"&x;", b"<!--", b"<!DOCTYPE xml>", b"<?x?>"),
        *(
            "我的订单".encode(),
            "👩‍👩‍👧".encode(),
            b"a b",
            b"\r\n",
            b"\t",
            "￥1".encode(),
            b"\xef\xbb\xbf",
        ),
    ]
)
BYTES = st.lists(PIECES | st.binary(max_size=4), max_size=9).map(b"".join)


def as_read(typed: bytes) -> str:
    """What is to arrive, said in other words than those of the code under test."""
    text = typed.decode("utf-8", "replace")
    odd = {*range(32)} - {9, 10, 13} | {0xFFFE, 0xFFFF}
    return "".join("\ufffd" if ord(character) in odd else character for character in text)


def push_of(console: Console, kind: str, merchant: dict[str, Any], **texts: bytes) -> Push:
    return console.opener().open(*console.push({**MESSAGES[kind], **merchant, **texts}))


def identity(push: Push) -> tuple[object, ...]:
    """Who wrote, to whom, which merchant, which message, of which type."""
    return (
        push.account,
        push.openid,
        push.business_id,
        push.created_at,
        push.kind,
        push.event,
        push.message_id,
    )


def expected_identity(kind: str, merchant: dict[str, Any]) -> tuple[object, ...]:
    fields = MESSAGES[kind]
    return (
        fields["ToUserName"],
        fields["FromUserName"],
        str(merchant.get("BusinessId", 0)),
        fields["CreateTime"],
        fields["MsgType"],
        fields.get("Event"),
        str(fields["MsgId"]) if "MsgId" in fields else None,
    )


def read_text(push: Push, kind: str, name: str) -> object:
    return {**push.content, **push.content.get("fields", {})}.get(TEXTS[kind][name])


@pytest.mark.parametrize("console", CONSOLES, ids=lambda c: f"{c.mode}-{c.format}")
@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_no_single_byte_costs_a_message(console: Console, kind: str, name: str) -> None:
    for odd in NO_CHARACTERS:
        typed = "我的".encode() + odd + "订单".encode()

        push = push_of(console, kind, {}, **{name: typed})

        assert read_text(push, kind, name) == as_read(typed)
        assert identity(push) == expected_identity(kind, {})


def markup(name: str) -> Iterator[str]:
    """Texts that would become fields if they were read as XML."""
    yield from ("]]>", "]", "a]", "]]", "a]]>b", "<![CDATA[", "</xml>", "]]></xml>", "&amp;", "<a>")
    yield from (f"]]></{name}>", f"]]></{name}></xml>", f"<{name}><![CDATA[", f"</{name}>")
    for injected in INJECTIONS:
        yield injected
        yield f"a]]></{name}>{injected}<{name}><![CDATA[b"
        yield f"a]]></{name}>{injected}"
        yield f"a]]></{name}>{injected}<New><![CDATA[b]]></New><{name}><![CDATA["
        yield f"]]></{name}>\n{injected}\n<{name}>"


@pytest.mark.parametrize("console", CONSOLES, ids=lambda c: f"{c.mode}-{c.format}")
@pytest.mark.parametrize(("kind", "name"), FIELDS)
@pytest.mark.parametrize("merchant", MERCHANTS, ids=["main account", "merchant"])
def test_markup_of_a_buyers_own_is_text(
    console: Console, kind: str, name: str, merchant: dict[str, Any]
) -> None:
    for typed in markup(name):
        push = push_of(console, kind, merchant, **{name: typed.encode()})

        assert read_text(push, kind, name) == as_read(typed.encode()), typed
        assert identity(push) == expected_identity(kind, merchant), typed


@settings(max_examples=1_500)
@given(st.sampled_from(CONSOLES), st.sampled_from(FIELDS), st.sampled_from(MERCHANTS), BYTES)
def test_any_bytes_in_one_text_arrive_and_change_nothing_else(
    console: Console, field: tuple[str, str], merchant: dict[str, Any], typed: bytes
) -> None:
    kind, name = field

    push = push_of(console, kind, merchant, **{name: typed})

    assert identity(push) == expected_identity(kind, merchant)
    if console.format == "json" or not _closes_another(kind, name, typed):
        assert read_text(push, kind, name) == as_read(typed).replace("]]]]><![CDATA[>", "]]>")


def _closes_another(kind: str, name: str, typed: bytes) -> bool:
    """Whether the text could as well be the end of an earlier one: nobody can know, then."""
    earlier = list(TEXTS[kind])[: list(TEXTS[kind]).index(name)]
    return any(f"]]></{other}>".encode() in typed for other in earlier)


@settings(max_examples=1_500)
@given(st.data(), st.sampled_from(CONSOLES), st.sampled_from(sorted(TEXTS)))
def test_any_bytes_in_every_text_change_neither_sender_nor_message(
    data: st.DataObject, console: Console, kind: str
) -> None:
    merchant = data.draw(st.sampled_from(MERCHANTS))
    texts = {name: data.draw(BYTES, label=name) for name in TEXTS[kind]}

    push = push_of(console, kind, merchant, **texts)

    assert identity(push) == expected_identity(kind, merchant)


@settings(max_examples=300)
@given(st.sampled_from(MODES), BYTES)
def test_fields_after_the_message_id_move_nothing(mode: str, typed: bytes) -> None:
    # As with the answers to a menu; whether in CDATA or bare
    console = Console(mode=mode, clock=lambda: NOW)
    for choice in ("101", 101):
        fields = {**MESSAGES["text"], "BusinessId": 42, "bizmsgmenuid": choice, "Content": typed}

        push = console.opener().open(*console.push(fields))

        assert identity(push) == expected_identity("text", {"BusinessId": 42})
        assert push.content["extra"] == {"bizmsgmenuid": "101"}
        assert push.content["content"] == as_read(typed).replace("]]]]><![CDATA[>", "]]>")


NESTED: dict[str, Any] = {
    **MESSAGES["debug_demo"],
    "Event": "wxa_media_check",
    "detail": {"strategy": "content_model", "errcode": 0},
}


@pytest.mark.parametrize("console", CONSOLES, ids=lambda c: f"{c.mode}-{c.format}")
@pytest.mark.parametrize("merchant", MERCHANTS, ids=["main account", "merchant"])
def test_beside_nested_fields_markup_changes_no_identity_either(
    console: Console, merchant: dict[str, Any]
) -> None:
    expected = ("event", "wxa_media_check", str(merchant.get("BusinessId", 0)), None)
    for typed in (*markup("debug_str"), "a]]></debug_str></detail><detail><debug_str><![CDATA["):
        fields = {**NESTED, "debug_str": typed, **merchant}

        push = console.opener().open(*console.push(fields))

        assert (push.kind, push.event, push.business_id, push.message_id) == expected, typed


def test_printed_prettily_it_is_the_same() -> None:
    # WeChat's own samples have each field in a line of its own
    for mode in MODES:
        console = Console(mode=mode, clock=lambda: NOW)
        typed = "a]]></Content>\n<MsgId>666</MsgId>\n<Content><![CDATA[b\x08"
        message = console.render({**MESSAGES["text"], "Content": typed})
        pretty = re.sub(rb"(<xml>|</(?!xml)\w+>)(?=<[A-Z/])", rb"\1\r\n  ", message)
        assert pretty != message

        push = console.opener().open(*console.wrap(pretty))

        assert push.message_id == "22923519871373703"


@pytest.mark.parametrize("format", FORMATS)
def test_in_compatible_mode_the_plain_fields_cannot_hide_the_encrypted_ones(format: str) -> None:  # noqa: A002
    console = Console(mode="compatible", format=format, clock=lambda: NOW)
    other = console.encrypt(console.render({**MESSAGES["text"], "Content": "another"}))
    typed = f"]]></Content><Encrypt><![CDATA[{other}]]></Encrypt><Content><![CDATA["
    body, query = console.push({**MESSAGES["text"], "Content": typed})

    push = console.opener().open(*Request(body, query))

    assert push.content == {"content": typed}
