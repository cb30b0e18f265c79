"""Every valid push is opened: three modes, two formats, all types, both kinds of conversation."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto

from tests.pushes import KNOWN, MESSAGES, Console, Request
from wechat_kf.wechat.push import BodyFormat, Push, PushKeys, transfer_reply

NOW = 1714112445
MODES = ["plain", "compatible", "secure"]
FORMATS = ["xml", "json"]

# The two samples of the capability's brief, character by character.
BRIEF_JSON = """{
  "ToUserName": "toUser",
  "FromUserName": "fromUser",
  "CreateTime": 1482048670,
  "MsgType": "text",
  "Content": "this is a test",
  "MsgId": 1234567890123456,
  "BusinessId": 1
}
"""
BRIEF_XML = """<xml>
  <ToUserName><![CDATA[toUser]]></ToUserName>
  <FromUserName><![CDATA[fromUser]]></FromUserName>
  <CreateTime>1482048670</CreateTime>
  <MsgType><![CDATA[text]]></MsgType>
  <Content><![CDATA[this is a test]]></Content>
  <MsgId>1234567890123456</MsgId>
  <BusinessId>1</BusinessId>
</xml>
"""
CONTENTS: dict[str, dict[str, Any]] = {
    "text": {"content": "请问 <几天> 发货? & 👩‍👩‍👧 [微笑] ]]>"},
    "image": {"media_id": "media_id", "picture_url": "https://p.test/1"},
    "miniprogrampage": {
        "title": "title",
        "app_id": "appid",
        "page_path": "path",
        "thumb_url": "",
        "thumb_media_id": "",
    },
    "user_enter_tempsession": {"session_from": "sessionFrom"},
    "debug_demo": {"fields": {"debug_str": "hello world"}},
    "kf_create_session": {"fields": {"KfAccount": "a@b"}},
    "link": {"fields": {"Title": "t", "Description": "d", "Url": "https://u"}},
    "brand_new": {"fields": {"Deep": {"Er": {"Than": "before"}}}},
}


def console_of(mode: str = "secure", format: str = "xml") -> Console:  # noqa: A002
    return Console(mode=mode, format=format, clock=lambda: NOW)


def opened(fields: dict[str, Any], mode: str = "secure", format: str = "json") -> Push:  # noqa: A002
    console = console_of(mode, format)
    return console.opener().open(*console.push(fields))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("business_id", [None, 42])
def test_the_full_matrix(mode: str, format: str, name: str, business_id: int | None) -> None:  # noqa: A002
    fields = MESSAGES[name] if business_id is None else {**MESSAGES[name], "BusinessId": 42}

    push = opened(fields, mode, format)

    assert push == Push(
        account="gh_97417a04a28d",
        openid="o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        business_id="0" if business_id is None else "42",
        created_at=1482048670,
        kind=fields["MsgType"],
        event=fields.get("Event"),
        message_id="22923519871373703" if "MsgId" in fields else None,
        content=CONTENTS[name],
        format=BodyFormat(format),
    )
    assert push.known is (name in KNOWN)


@pytest.mark.parametrize(("sample", "format"), [(BRIEF_JSON, "json"), (BRIEF_XML, "xml")])
def test_the_samples_of_the_brief(sample: str, format: str) -> None:  # noqa: A002
    console = console_of("plain")

    push = console.opener().open(*console.wrap(sample.encode()))

    assert push == Push(
        account="toUser",
        openid="fromUser",
        business_id="1",
        created_at=1482048670,
        kind="text",
        event=None,
        message_id="1234567890123456",
        content={"content": "this is a test"},
        format=BodyFormat(format),
    )


def test_the_published_secure_push() -> None:
    # Section 8.4, as it would arrive.
    console = Console(token="AAAAA", encoding_aes_key="A" * 43, clock=lambda: 1714112445)
    encrypt = (
        "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJG"
        "QqcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrf"
        "MZuMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgR"
        "tWygb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
    )
    query = {
        "signature": "6c5c811b55cc85e0e1b54100749188c20beb3f5d",
        "timestamp": "1714112445",
        "nonce": "415670741",
        "openid": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        "encrypt_type": "aes",
        "msg_signature": "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
    }
    body = json.dumps({"ToUserName": "gh_97417a04a28d", "Encrypt": encrypt}).encode()

    push = console.opener().open(body, query)

    assert (push.event, push.known) == ("debug_demo", False)
    assert push.content == {"fields": {"debug_str": "hello world"}}


def test_the_published_url_verification() -> None:
    console = Console(token="AAAAA", mode="secure", clock=lambda: 1714036504)
    query = {
        "signature": "f464b24fc39322e44b38aa78f5edd27bd1441696",
        "timestamp": "1714036504",
        "nonce": "1514711492",
        "echostr": "4375120948345356249",
    }
    assert console.opener().verify_url(query) == "4375120948345356249"


def test_a_push_sealed_by_wechatpy_is_opened() -> None:
    console = console_of()
    theirs = WeChatCrypto(console.token, console.encoding_aes_key, console.app_id)
    sealed: str = theirs.encrypt_message(BRIEF_XML, "nonce", str(NOW))
    signed = sealed.split("<MsgSignature><![CDATA[")[1].split("]]>", maxsplit=1)[0]
    query = {"timestamp": str(NOW), "nonce": "nonce", "msg_signature": signed}

    assert console.opener().open(sealed.encode(), query).content == {"content": "this is a test"}


def test_compatible_mode_believes_only_the_encrypted_part() -> None:
    for format in FORMATS:  # noqa: A001
        console = console_of("compatible", format)
        body, query = console.push(MESSAGES["text"])
        forged = body.replace("几天".encode(), b"forged")
        assert forged != body

        assert console.opener().open(forged, query).content == CONTENTS["text"]


@pytest.mark.parametrize("encrypt_type", [None, "raw", ""])
def test_compatible_mode_takes_a_plain_push(encrypt_type: str | None) -> None:
    sender = console_of("plain")
    body, query = sender.push(MESSAGES["text"])
    if encrypt_type is not None:
        query["encrypt_type"] = encrypt_type

    assert console_of("compatible").opener().open(body, query).content == CONTENTS["text"]


# --- rotation ------------------------------------------------------------------------------

OLD, NEW = PushKeys("oldtoken", "O" * 43), PushKeys("newtoken", "N" * 43)


@pytest.mark.parametrize("token", [OLD.token, NEW.token])
@pytest.mark.parametrize("key", [OLD.encoding_aes_key, NEW.encoding_aes_key])
@pytest.mark.parametrize("mode", MODES)
def test_while_rotating_every_token_is_taken_with_every_key(
    token: str, key: str, mode: str
) -> None:
    sender = Console(token=token, encoding_aes_key=key, mode=mode, clock=lambda: NOW)
    opener = sender.opener(keys=[NEW, OLD])

    assert opener.open(*sender.push(MESSAGES["text"])).content == CONTENTS["text"]
    assert opener.verify_url(sender.verification("1")) == "1"


# --- how bodies are written ----------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n \t", b"\xef\xbb\xbf\n "])
def test_marks_and_blanks_around_the_body(mode: str, format: str, before: bytes) -> None:  # noqa: A002
    console = console_of(mode, format)
    body, query = console.push(MESSAGES["text"])
    request = Request(before + body + b"\n ", query)

    assert console.opener().open(*request).content == CONTENTS["text"]


@pytest.mark.parametrize("format", FORMATS)
def test_marks_and_blanks_around_the_decrypted_message(format: str) -> None:  # noqa: A002
    console = console_of("secure", format)
    message = b"\xef\xbb\xbf\n " + console.render(MESSAGES["text"]) + b"\n"

    assert console.opener().open(*console.wrap(message)).content == CONTENTS["text"]


@pytest.mark.parametrize(
    "template",
    [
        '{{\n  "ToUserName" : "gh",\n  "Encrypt"\t: "{0}"\n}}',
        "<xml>\n  <ToUserName><![CDATA[gh]]></ToUserName>\n  <Encrypt>\n{0}\n  </Encrypt>\n</xml>",
        "<xml><Encrypt>  <![CDATA[{0}]]>\r\n</Encrypt></xml>",
        "<?xml version='1.0' encoding='gbk'?><!-- 你好 --><xml><Encrypt>{0}</Encrypt></xml>",
        '<xml a="b"><Encrypt><![CDATA[{0}]]></Encrypt><Encrypted/></xml>',
    ],
)
def test_ways_to_write_the_envelope(template: str) -> None:
    console = console_of()
    request = console.push(MESSAGES["text"], envelope=lambda e: template.format(e).encode())
    assert console.opener().open(*request).content == CONTENTS["text"]


@pytest.mark.parametrize("signed_as_broken", [True, False])
def test_line_breaks_inside_encrypt(signed_as_broken: bool) -> None:
    # Given base64 in lines of 64, signed in either spelling
    console = console_of()
    compact = console.encrypt(console.render(MESSAGES["text"]))
    broken = "\n".join(compact[at : at + 64] for at in range(0, len(compact), 64))
    request = console.wrap(
        b"",
        encrypt=broken if signed_as_broken else compact,
        envelope=lambda _: console.envelope(broken),
    )

    assert console.opener().open(*request).content == CONTENTS["text"]


def test_json_escapes_are_text_and_half_an_emoji_harms_nobody() -> None:
    message = json.dumps(MESSAGES["text"] | {"Content": "你好👍 \ud83d!"}).encode()
    console = console_of("plain", "json")

    push = console.opener().open(*console.wrap(message))

    assert push.content == {"content": "你好👍 \ufffd!"}


def test_a_raw_line_break_inside_json_text_is_kept() -> None:
    console = console_of("plain", "json")
    message = console.render(MESSAGES["text"] | {"Content": "one+two"}).replace(b"+", b"\n")
    assert console.opener().open(*console.wrap(message)).content == {"content": "one\ntwo"}


def test_text_is_kept_blank_by_blank() -> None:
    for format in FORMATS:  # noqa: A001
        push = opened({**MESSAGES["text"], "Content": "  a \n b  "}, format=format)
        assert push.content == {"content": "  a \n b  "}


def test_nesting_up_to_the_bound_is_kept() -> None:
    deep: Any = "bottom"
    for _ in range(30):
        deep = {"a": deep}
    for format in FORMATS:  # noqa: A001
        push = opened({**MESSAGES["brand_new"], "Deep": deep}, format=format)
        assert push.content == {"fields": {"Deep": deep}}


# --- ids -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("given", "business_id"),
    [
        (1, "1"),
        ("1", "1"),
        (" 7 ", "7"),
        ("007", "7"),
        (0, "0"),
        ("0", "0"),
        ("000", "0"),
        ("", "0"),
        (99999999999999999999, "99999999999999999999"),
        ("shop_a-1", "shop_a-1"),
    ],
)
def test_business_ids(format: str, given: object, business_id: str) -> None:  # noqa: A002
    fields = {**MESSAGES["text"], "BusinessId": given}
    assert opened(fields, format=format).business_id == business_id


def test_a_null_business_id_is_the_main_account() -> None:
    assert opened({**MESSAGES["text"], "BusinessId": None}).business_id == "0"


@pytest.mark.parametrize("spelling", ["MsgId", "MsgID"])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("given", "message_id"),
    [
        (9007199254740993, "9007199254740993"),
        (18446744073709551615, "18446744073709551615"),
        ("49d7aa_1555684067", "49d7aa_1555684067"),
        ("", None),
        (0, None),
        ("0", None),
    ],
)
def test_message_ids(
    spelling: str,
    format: str,  # noqa: A002
    given: object,
    message_id: str | None,
) -> None:
    fields = {name: value for name, value in MESSAGES["text"].items() if name != "MsgId"}
    push = opened({**fields, spelling: given}, format=format)
    assert push.message_id == message_id
    assert push.content == CONTENTS["text"]


def test_unknown_fields_of_known_types_are_kept_apart() -> None:
    push = opened({**MESSAGES["text"], "bizmsgmenuid": "101", "New": {"a": [1, 2.5, None]}})
    extra = {"bizmsgmenuid": "101", "New": {"a": [1, 2.5, None]}}
    assert push.content == {**CONTENTS["text"], "extra": extra}


def test_repeated_elements_of_unknown_types_become_a_list() -> None:
    console = console_of("plain")
    message = console.render(MESSAGES["brand_new"])
    message = message.replace(b"</xml>", b"<A>1</A><A><B>2</B></A><A/></xml>")

    push = console.opener().open(*console.wrap(message))

    assert push.content["fields"]["A"] == ["1", {"B": "2"}, ""]


@pytest.mark.parametrize(
    ("written", "kind"), [("Event", "event"), ("TEXT", "text"), ("New", "New")]
)
def test_the_case_of_a_known_type_does_not_matter(written: str, kind: str) -> None:
    assert opened({**MESSAGES["user_enter_tempsession"], "MsgType": written}).kind == kind


def test_an_event_in_capitals_is_an_event() -> None:
    push = opened({**MESSAGES["user_enter_tempsession"], "MsgType": "Event"})
    assert push == opened(MESSAGES["user_enter_tempsession"])
    with pytest.raises(ValueError, match="events"):
        transfer_reply(push, nonce="nonce", now=NOW)


def test_an_event_without_a_name_is_kept() -> None:
    push = opened({**MESSAGES["debug_demo"], "Event": ""})
    assert (push.kind, push.event, push.known) == ("event", None, False)


# --- de-duplication ------------------------------------------------------------------------


def key_of(name: str, **changed: Any) -> str:
    return opened({**MESSAGES[name], **changed}).deduplication_key


def test_a_repeat_has_the_same_key_however_it_is_written() -> None:
    keys = {
        opened(MESSAGES["text"], mode, format).deduplication_key
        for mode in MODES
        for format in FORMATS  # noqa: A001
    }
    assert keys == {key_of("text", MsgId="22923519871373703", Content="other", CreateTime=1)}


@pytest.mark.parametrize(
    "changed", [{"MsgId": 22923519871373704}, {"FromUserName": "other"}, {"ToUserName": "gh_other"}]
)
def test_other_messages_have_other_keys(changed: dict[str, Any]) -> None:
    assert key_of("text", **changed) != key_of("text")


@pytest.mark.parametrize(
    "changed",
    [
        {"CreateTime": 1482048671},
        {"FromUserName": "other"},
        {"ToUserName": "gh_other"},
        {"Event": "other"},
        {"BusinessId": 1},
    ],
)
def test_other_events_have_other_keys(changed: dict[str, Any]) -> None:
    assert key_of("user_enter_tempsession", **changed) != key_of("user_enter_tempsession")


MEDIA_CHECK: dict[str, Any] = {
    **MESSAGES["debug_demo"],
    "Event": "wxa_media_check",
    "isrisky": 0,
    "extra_info_json": "",
    "trace_id": "967e945cd8a3e458f3c74dcb886068e9",
    "detail": {"strategy": "content_model", "errcode": 0},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "changed",
    [
        {"trace_id": "other"},
        {"isrisky": 1},
        {"extra_info_json": "{}"},
        {"detail": {"strategy": "content_model", "errcode": 1}},
        {"detail": {"strategy": "content_model"}},
        {"new": "1"},
        {"MsgType": "other"},
        {"MsgID": 7},
    ],
)
def test_events_of_one_second_that_differ_in_any_field_have_other_keys(
    mode: str,
    format: str,  # noqa: A002
    changed: dict[str, Any],
) -> None:
    key = opened(MEDIA_CHECK, mode, format).deduplication_key
    assert opened({**MEDIA_CHECK, **changed}, mode, format).deduplication_key != key


def test_two_events_about_one_message_have_other_keys() -> None:
    about = {**MEDIA_CHECK, "MsgID": 200163836}
    keys = {opened({**about, "Status": status}).deduplication_key for status in ("sent", "read")}
    assert len(keys) == 2


def test_fields_that_run_into_each_other_have_other_keys() -> None:
    changes: list[dict[str, Any]] = [
        {"Event": "a|1"},
        {"Event": "a", "BusinessId": 1},
        {"a": "b", "c": ""},
        {"a": "", "b": "c"},
    ]
    keys = {opened({**MEDIA_CHECK, **changed}).deduplication_key for changed in changes}
    assert len(keys) == len(changes)


LEAVES = st.text(max_size=4) | st.integers() | st.sampled_from(["a\r\nb", "", "0", "\x08"])
BODIES = st.dictionaries(
    st.sampled_from("ABCDE"),
    LEAVES | st.dictionaries(st.sampled_from("XYZ"), LEAVES, min_size=1, max_size=3),
    max_size=4,
)


@settings(max_examples=500)
@given(BODIES, BODIES, st.sampled_from(MODES), st.integers(0, 600))
def test_a_repeat_has_the_same_key_and_another_event_has_not(
    one: dict[str, Any], other: dict[str, Any], mode: str, later: int
) -> None:
    def key(fields: dict[str, Any], format: str, nonce: str = "1") -> str:  # noqa: A002
        console = console_of(mode, format)
        request = console.push({**MEDIA_CHECK, **fields}, timestamp=str(NOW - later), nonce=nonce)
        return console.opener().open(*request).deduplication_key

    first = key(one, "json")
    assert key(one, "json", nonce="2") == key(one, "xml", nonce="3") == first
    assert (key(other, "json") == first) is (_as_text(one) == _as_text(other))


def _as_text(fields: object) -> object:
    if isinstance(fields, dict):
        return {name: _as_text(value) for name, value in fields.items()}
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", str(fields))
    return re.sub("\r\n?", "\n", text)


def test_the_main_account_has_one_key_however_it_is_written() -> None:
    keys = {key_of("debug_demo", BusinessId=given) for given in (0, "", "0", None)}
    assert keys == {key_of("debug_demo")}


# --- answers -------------------------------------------------------------------------------


TRANSFER_XML = (
    "<xml><ToUserName><![CDATA[o9AgO5Kd5ggOC-bXrbNODIiE3bGY]]></ToUserName>"
    "<FromUserName><![CDATA[gh_97417a04a28d]]></FromUserName>"
    "<CreateTime>1714112445</CreateTime>"
    "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
)


def test_a_plain_push_is_transferred_in_plain_text() -> None:
    push = opened(MESSAGES["text"], "plain", "xml")
    assert transfer_reply(push, nonce="nonce", now=NOW) == TRANSFER_XML


@pytest.mark.parametrize("used", [OLD, NEW])
def test_an_encrypted_push_is_transferred_with_the_keys_it_came_with(used: PushKeys) -> None:
    # Given a receiver in the middle of a rotation
    sender = Console(token=used.token, encoding_aes_key=used.encoding_aes_key, clock=lambda: NOW)
    push = sender.opener(keys=[NEW, OLD]).open(*sender.push(MESSAGES["text"]))

    reply = transfer_reply(push, nonce="nonce", now=NOW)

    signed = reply.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    theirs = WeChatCrypto(used.token, used.encoding_aes_key, sender.app_id)
    assert theirs.decrypt_message(reply, signed, str(NOW), "nonce") == TRANSFER_XML


@pytest.mark.parametrize("mode", ["plain", "secure"])
def test_a_json_push_is_transferred_in_json(mode: str) -> None:
    console = console_of(mode, "json")
    push = console.opener().open(*console.push(MESSAGES["image"]))

    reply = json.loads(transfer_reply(push, nonce="nonce", now=NOW))

    if mode == "secure":
        assert (reply["TimeStamp"], reply["Nonce"]) == (NOW, "nonce")
        theirs = WeChatCrypto(console.token, console.encoding_aes_key, console.app_id)
        reply = json.loads(theirs.decrypt_message(reply, reply["MsgSignature"], str(NOW), "nonce"))
    assert reply == {
        "ToUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        "FromUserName": "gh_97417a04a28d",
        "CreateTime": NOW,
        "MsgType": "transfer_customer_service",
    }


def test_events_are_never_transferred() -> None:
    with pytest.raises(ValueError, match="events"):
        transfer_reply(opened(MESSAGES["user_enter_tempsession"]), nonce="nonce", now=NOW)


def test_a_push_does_not_show_its_seal() -> None:
    assert "seal" not in repr(opened(MESSAGES["text"]))
