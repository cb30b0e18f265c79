"""Signatures and frames: WeChat's published vectors, and an implementation that is not ours."""

import base64
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wechatpy.crypto import PrpCrypto, WeChatCrypto

from tests.pushes import Console, frame_of
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

# Section 8.4: official example values.
TOKEN = "AAAAA"
AES_KEY = "A" * 43
APP_ID = "wxba5fad812f8e6fb9"
ENCRYPT = (
    "+qdx1OKCy+5JPCBFWw70tm0fJGb2Jmeia4FCB7kao+/Q5c/ohsOzQHi8khUOb05JCpj0JB4RvQMkUyus8TPxLKJGQ"
    "qcvZqzDpVzazhZv6JsXUnnR8XGT740XgXZUXQ7vJVnAG+tE8NUd4yFyjPy7GgiaviNrlCTj+l5kdfMuFUPpRSrfMZ"
    "uMcp3Fn2Pede2IuQrKEYwKSqFIZoNqJ4M8EajAsjLY2km32IIjdf8YL/P50F7mStwntrA2cPDrM1kb6mOcfBgRtWy"
    "gb3VIYnSeOBrebufAlr7F9mFUPAJGj04="
)
MESSAGE = (
    b'{"ToUserName":"gh_97417a04a28d","FromUserName":"o9AgO5Kd5ggOC-bXrbNODIiE3bGY",'
    b'"CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello world"}'
)
REPLY_ENCRYPT = (
    "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ=="
)
REPLY_SIGNATURE = "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1"


@pytest.fixture
def cipher() -> FrameCipher:
    return FrameCipher(AES_KEY, APP_ID)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param(
            [TOKEN, "1714036504", "1514711492"],
            "f464b24fc39322e44b38aa78f5edd27bd1441696",
            id="URL verification",
        ),
        pytest.param(
            [TOKEN, "1714037059", "486452656"],
            "899cf89e464efb63f54ddac96b0a0a235f53aa78",
            id="plain push",
        ),
        pytest.param(
            [TOKEN, "1714112445", "415670741"],
            "6c5c811b55cc85e0e1b54100749188c20beb3f5d",
            id="secure push, without the body",
        ),
        pytest.param(
            [TOKEN, "1714112445", "415670741", ENCRYPT],
            "046e02f8204d34f8ba5fa3b1db94908f3df2e9b3",
            id="secure push",
        ),
        pytest.param(
            [TOKEN, "1713424427", "415670741", REPLY_ENCRYPT], REPLY_SIGNATURE, id="reply"
        ),
    ],
)
def test_published_signatures(parts: list[str], expected: str) -> None:
    assert sign_parts(*parts) == expected


def test_published_push_decrypts_with_its_pad_of_19(cipher: FrameCipher) -> None:
    assert cipher.decrypt(ENCRYPT) == MESSAGE
    assert cipher.encrypt(MESSAGE, random=b"a8eedb185eb2fecf") == ENCRYPT


def test_published_reply_as_json(cipher: FrameCipher) -> None:
    assert json.loads(_published_reply(cipher, BodyFormat.JSON)) == {
        "Encrypt": REPLY_ENCRYPT,
        "MsgSignature": REPLY_SIGNATURE,
        "TimeStamp": 1713424427,
        "Nonce": "415670741",
    }


def test_published_reply_as_xml(cipher: FrameCipher) -> None:
    assert _published_reply(cipher, BodyFormat.XML) == (
        f"<xml><Encrypt><![CDATA[{REPLY_ENCRYPT}]]></Encrypt>"
        f"<MsgSignature><![CDATA[{REPLY_SIGNATURE}]]></MsgSignature>"
        "<TimeStamp>1713424427</TimeStamp><Nonce><![CDATA[415670741]]></Nonce></xml>"
    )


def _published_reply(cipher: FrameCipher, format: BodyFormat) -> str:  # noqa: A002
    return seal_reply(
        Seal(TOKEN, cipher),
        '{"demo_resp":"good luck"}',
        timestamp=1713424427,
        nonce="415670741",
        format=format,
        random=b"707722b803182950",
    )


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25, 26, 27, 58, 1000])
def test_wechatpy_reads_our_frames_and_we_read_its(length: int) -> None:
    # Lengths around every multiple of 16 and 32: 38 bytes of the frame are not the message.
    key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
    ours = FrameCipher(key, APP_ID)
    theirs = PrpCrypto(base64.b64decode(key + "="))
    text = ("发货?👍" * 300).encode()[: length - length % 3].decode("utf-8", "ignore").ljust(length)

    assert theirs.decrypt(ours.encrypt(text.encode()), APP_ID) == text
    assert ours.decrypt(theirs.encrypt(text, APP_ID).decode()) == text.encode()


def test_wechatpy_accepts_our_sealed_reply(cipher: FrameCipher) -> None:
    seal = Seal(TOKEN, cipher)
    reply = seal_reply(seal, "<xml/>", timestamp=1, nonce="a]]>b", format=BodyFormat.XML)
    signed = reply.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]

    opened = WeChatCrypto(TOKEN, AES_KEY, APP_ID).decrypt_message(reply, signed, "1", "a]]>b")

    assert opened == "<xml/>"


def test_a_seal_does_not_show_itself(cipher: FrameCipher) -> None:
    assert repr(Seal("the-token", cipher)) == "Seal()"


def test_we_open_what_wechatpy_sealed(cipher: FrameCipher) -> None:
    sealed: str = WeChatCrypto(TOKEN, AES_KEY, APP_ID).encrypt_message("你好", "n", "1")
    encrypt = sealed.split("<Encrypt><![CDATA[")[1].split("]]>", maxsplit=1)[0]

    assert cipher.decrypt(encrypt).decode() == "你好"
    assert sign_parts(TOKEN, "1", "n", encrypt) in sealed


def test_two_frames_of_one_message_differ(cipher: FrameCipher) -> None:
    assert cipher.encrypt(b"message") != cipher.encrypt(b"message")


@pytest.mark.parametrize(
    ("encrypt", "fault"),
    [
        ("", FrameFault.WRONG_LENGTH),
        ("QUJD", FrameFault.WRONG_LENGTH),
        ("AAAA\n" * 8, FrameFault.NOT_BASE64),
        ("AAA", FrameFault.NOT_BASE64),
        ("é", FrameFault.NOT_BASE64),
        ("\ud83d", FrameFault.NOT_BASE64),
    ],
)
def test_what_is_no_ciphertext_is_told_apart(
    cipher: FrameCipher, encrypt: str, fault: FrameFault
) -> None:
    with pytest.raises(FrameError) as caught:
        cipher.decrypt(encrypt)
    assert caught.value.reason is fault


@pytest.mark.parametrize(
    ("frame", "pad", "fault"),
    [
        pytest.param(b"x" * 16, bytes(16), FrameFault.WRONG_PADDING, id="pad of 0"),
        pytest.param(b"x" * 31, bytes([33]) * 33, FrameFault.WRONG_PADDING, id="pad of 33"),
        pytest.param(b"x" * 30, b"\x01\x02", FrameFault.WRONG_PADDING, id="uneven pad"),
        pytest.param(b"", bytes([17]) * 16, FrameFault.WRONG_PADDING, id="pad beyond start"),
        pytest.param(b"", bytes([32]) * 32, FrameFault.WRONG_FRAME, id="nothing but pad"),
        pytest.param(b"x" * 19, bytes([13]) * 13, FrameFault.WRONG_FRAME, id="no whole head"),
        pytest.param(
            frame_of(b"m", APP_ID.encode(), 20), None, FrameFault.WRONG_FRAME, id="length too big"
        ),
        pytest.param(
            frame_of(b"m", APP_ID.encode(), 2), None, FrameFault.WRONG_APP_ID, id="length off by 1"
        ),
        pytest.param(frame_of(b"m", b""), None, FrameFault.WRONG_APP_ID, id="no AppID"),
        pytest.param(frame_of(b"m", b"\xff"), None, FrameFault.WRONG_APP_ID, id="AppID no text"),
    ],
)
def test_frames_that_are_not_what_they_say(
    cipher: FrameCipher, frame: bytes, pad: bytes | None, fault: FrameFault
) -> None:
    console = Console(encoding_aes_key=AES_KEY)
    with pytest.raises(FrameError) as caught:
        cipher.decrypt(console.encrypt_frame(frame, pad))
    assert caught.value.reason is fault


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=100))
def test_decrypting_anything_gives_bytes_or_a_frame_error(anything: bytes | str) -> None:
    encrypt = anything if isinstance(anything, str) else base64.b64encode(anything).decode()
    try:
        opened: object = FrameCipher(AES_KEY, APP_ID).decrypt(encrypt)
    except FrameError as error:
        opened = error.reason
    assert isinstance(opened, bytes | FrameFault)


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "!" * 43, "é" * 43, "A" * 42 + "="])
def test_keys_that_are_none_are_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="43 base64 characters") as caught:
        FrameCipher(key, APP_ID)
    assert not key or key not in str(caught.value)


def test_spare_bits_of_the_last_key_character_are_ignored() -> None:
    assert FrameCipher("A" * 42 + "B", APP_ID).decrypt(ENCRYPT) == MESSAGE


def test_random_of_another_length_is_refused(cipher: FrameCipher) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        cipher.encrypt(b"", random=b"short")


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("abc", "abc", True),
        ("abc", "abd", False),
        ("abc", "ABC", False),
        ("abc", "ab", False),
        ("签名", "签名", True),
        ("\ud83d", "\ud83e", False),
    ],
)
def test_signatures_are_compared_whatever_they_hold(a: str, b: str, equal: bool) -> None:
    assert signatures_equal(a, b) is equal


def test_signature_sorts_by_code_point() -> None:
    expected = hashlib.sha1("1Ba签👍".encode(), usedforsecurity=False).hexdigest()
    assert sign_parts("a", "👍", "签", "B", "1") == expected


def test_cdata_survives_its_own_end_mark() -> None:
    assert cdata("a]]>b") == "<![CDATA[a]]]]><![CDATA[>b]]>"
