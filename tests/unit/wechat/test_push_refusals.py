"""Whatever is not WeChat's push is refused, with one error, the right reason and no content."""

import json
import random
import traceback
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pushes import BROKEN_PUSHES, MESSAGES, BrokenPush, Console, Request
from wechat_kf.wechat.push import (
    MAX_BODY_BYTES,
    PushKeys,
    PushOpener,
    PushRefusedError,
    Refusal,
)

NOW = 1714112445
CONSOLES = [
    Console(mode=mode, format=format_, clock=lambda: NOW)
    for mode in ("plain", "compatible", "secure")
    for format_ in ("xml", "json")
]
SECURE = [console for console in CONSOLES if console.mode == "secure"]


def refusal_of(opener: PushOpener, request: Request) -> Refusal:
    with pytest.raises(PushRefusedError) as caught:
        opener.open(*request)
    return caught.value.refusal


def by_name(value: object) -> str | None:
    if isinstance(value, BrokenPush):
        return value.name
    return f"{value.mode}-{value.format}" if isinstance(value, Console) else None


@pytest.mark.parametrize("console", SECURE, ids=by_name)
@pytest.mark.parametrize("broken", BROKEN_PUSHES, ids=by_name)
def test_a_broken_push_is_refused_for_its_reason(broken: BrokenPush, console: Console) -> None:
    assert refusal_of(console.opener(), broken.build(console)) is broken.refusal


def test_broken_pushes_have_names_of_their_own() -> None:
    assert len({broken.name for broken in BROKEN_PUSHES}) == len(BROKEN_PUSHES) >= 25


@pytest.mark.parametrize("console", SECURE, ids=by_name)
def test_a_refusal_shows_neither_secrets_nor_content(console: Console) -> None:
    for broken in BROKEN_PUSHES:
        request = broken.build(console)
        with pytest.raises(PushRefusedError) as caught:
            console.opener().open(*request)
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        assert caught.value.args == (broken.refusal.value,)
        assert "几天" not in shown
        for secret in (console.encoding_aes_key, *request.query.values()):
            assert len(secret) < 20 or secret not in shown


def test_keys_do_not_show_themselves() -> None:
    assert repr(PushKeys("the-token", "the-key")) == "PushKeys()"
    assert "the-token" not in repr(Console(token="the-token").opener())


@pytest.mark.parametrize("console", CONSOLES, ids=by_name)
def test_a_wrong_token_is_told_apart_in_every_mode(console: Console) -> None:
    opener = replace(console, token="BBBBB").opener()
    assert refusal_of(opener, console.push(MESSAGES["text"])) is Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize("console", CONSOLES, ids=by_name)
def test_a_stale_push_is_refused_in_every_mode(console: Console) -> None:
    late = console.opener(clock=lambda: NOW + 601)
    assert refusal_of(late, console.push(MESSAGES["text"])) is Refusal.STALE


@pytest.mark.parametrize("console", CONSOLES, ids=by_name)
@pytest.mark.parametrize("no_limit", [None, 0])
def test_any_age_is_accepted_without_a_window(console: Console, no_limit: int | None) -> None:
    opener = console.opener(max_age_seconds=no_limit, clock=lambda: NOW + 10**9)
    assert opener.open(*console.push(MESSAGES["text"])).kind == "text"


@pytest.mark.parametrize("console", CONSOLES, ids=by_name)
@pytest.mark.parametrize("drift", [-600, 600])
def test_the_window_includes_its_ends(console: Console, drift: int) -> None:
    opener = console.opener(clock=lambda: NOW + drift)
    assert opener.open(*console.push(MESSAGES["text"])).kind == "text"


@pytest.mark.parametrize("format", ["xml", "json"])
def test_plain_mode_refuses_an_encrypted_push(format: str) -> None:  # noqa: A002
    for sender in ("compatible", "secure"):
        request = Console(mode=sender, format=format, clock=lambda: NOW).push(MESSAGES["text"])
        opener = Console(mode="plain", clock=lambda: NOW).opener()
        assert refusal_of(opener, request) is Refusal.ENCRYPTED


@pytest.mark.parametrize("mode", ["plain", "compatible"])
@pytest.mark.parametrize("sender", ["compatible", "secure"])
@pytest.mark.parametrize("format", ["xml", "json"])
def test_taking_encrypt_type_away_does_not_downgrade(
    mode: str,
    sender: str,
    format: str,  # noqa: A002
) -> None:
    request = Console(mode=sender, format=format, clock=lambda: NOW).push(MESSAGES["text"])
    query = {n: v for n, v in request.query.items() if n not in ("encrypt_type", "msg_signature")}
    opener = Console(mode=mode, clock=lambda: NOW).opener()

    for lowered in (query, {**query, "encrypt_type": "raw"}, {**query, "encrypt_type": ""}):
        assert refusal_of(opener, Request(request.body, lowered)) is Refusal.ENCRYPTED


@pytest.mark.parametrize("mode", ["plain", "compatible"])
def test_an_unknown_encryption_is_refused(mode: str) -> None:
    console = Console(mode="plain", clock=lambda: NOW)
    request = console.push(MESSAGES["text"], encrypt_type="rot13")
    assert refusal_of(replace(console, mode=mode).opener(), request) is Refusal.MALFORMED


def test_compatible_mode_checks_msg_signature_and_not_signature() -> None:
    console = Console(mode="compatible", clock=lambda: NOW)
    body, query = console.push(MESSAGES["text"])
    forged = Request(body, {**query, "msg_signature": query["signature"]})
    assert refusal_of(console.opener(), forged) is Refusal.REENCODED_BODY


@pytest.mark.parametrize("mode", ["plain", "compatible"])
def test_a_plain_push_is_not_parsed_before_its_signature_is_checked(mode: str) -> None:
    console = Console(mode="plain", clock=lambda: NOW)
    body, query = console.wrap(b"<xml")
    opener = replace(console, mode=mode).opener()

    assert refusal_of(opener, Request(body, query)) is Refusal.MALFORMED
    forged = Request(body, {**query, "signature": "0" * 40})
    assert refusal_of(opener, forged) is Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
@pytest.mark.parametrize("padding", [b" ", b"<", b"[", b"\x00"])
def test_bodies_beyond_the_bound_are_refused_in_every_mode(mode: str, padding: bytes) -> None:
    request = Request(padding * (MAX_BODY_BYTES + 1), Console(mode=mode).signed({}))
    assert refusal_of(Console(mode=mode).opener(), request) is Refusal.TOO_LARGE


def test_a_body_at_the_bound_is_opened() -> None:
    console = Console(mode="plain", clock=lambda: NOW)
    body, query = console.push(MESSAGES["text"])
    assert console.opener().open(body.ljust(MAX_BODY_BYTES), query).kind == "text"


@pytest.mark.parametrize("keys", [[], [PushKeys("", "A" * 43)], [PushKeys("token", "short")]])
def test_keys_that_cannot_work_fail_at_once(keys: list[PushKeys]) -> None:
    with pytest.raises(ValueError, match=r"token|43 base64"):
        Console().opener(keys=keys)


def test_url_verification_answers_the_exact_echostr() -> None:
    for console in CONSOLES:
        assert console.opener().verify_url(console.verification()) == "4375120948345356249"


@pytest.mark.parametrize(
    ("bent", "refusal"),
    [
        ({"signature": "0" * 40}, Refusal.WRONG_SIGNATURE),
        ({"signature": "签"}, Refusal.WRONG_SIGNATURE),
        ({"nonce": "1"}, Refusal.WRONG_SIGNATURE),
        ({"timestamp": str(NOW - 1)}, Refusal.WRONG_SIGNATURE),
        ({"timestamp": "soon"}, Refusal.MALFORMED),
        ({"signature": ""}, Refusal.MISSING_PARAMETER),
        ({"echostr": ""}, Refusal.MISSING_PARAMETER),
        ({"echostr": "1" * 513}, Refusal.MALFORMED),
        ({"echostr": "a\r\nb"}, Refusal.MALFORMED),
    ],
)
def test_a_forged_url_verification_is_refused(bent: dict[str, str], refusal: Refusal) -> None:
    console = CONSOLES[0]
    with pytest.raises(PushRefusedError) as caught:
        console.opener().verify_url({**console.verification(), **bent})
    assert caught.value.refusal is refusal


def test_an_old_url_verification_is_refused() -> None:
    with pytest.raises(PushRefusedError) as caught:
        CONSOLES[0].opener(clock=lambda: NOW + 601).verify_url(CONSOLES[0].verification())
    assert caught.value.refusal is Refusal.STALE


# --- anything at all -----------------------------------------------------------------------

TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)
PARAMETERS = st.sampled_from(
    ["signature", "msg_signature", "timestamp", "nonce", "encrypt_type", "openid", "echostr"]
)
QUERIES = st.dictionaries(PARAMETERS | TEXTS, TEXTS | st.sampled_from(["aes", "raw", "1714112445"]))
BENT_FIELDS = [
    *("ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "MsgID", "BusinessId"),
    *("Event", "Content", "SessionFrom", "MediaId", "new"),
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def opened_or_refused(console: Console, request: Request) -> None:
    try:
        push = console.opener().open(*request)
    except PushRefusedError:
        return
    # What was let in can go on: as a key, and as JSON in UTF-8.
    assert len(push.deduplication_key) == 64
    json.dumps(dict(push.content), ensure_ascii=False, allow_nan=False).encode()


@settings(max_examples=150)
@given(st.sampled_from(CONSOLES), st.binary(max_size=300), QUERIES)
def test_random_requests_are_refused(console: Console, body: bytes, query: dict[str, str]) -> None:
    with pytest.raises(PushRefusedError):
        console.opener().open(body, query)
    with pytest.raises(PushRefusedError):
        console.opener().verify_url(query)


@settings(max_examples=150)
@given(st.sampled_from(CONSOLES), st.binary(max_size=300), st.sampled_from([b"", b"<xml>", b"{"]))
def test_random_messages_that_are_signed_are_opened_or_refused(
    console: Console, message: bytes, start: bytes
) -> None:
    opened_or_refused(console, console.wrap(start + message))


@settings(max_examples=300)
@given(
    st.sampled_from([console for console in CONSOLES if console.format == "json"]),
    st.sampled_from(sorted(MESSAGES)),
    st.dictionaries(
        st.sampled_from(BENT_FIELDS),
        VALUES,
        max_size=3,
    ),
)
def test_fields_of_any_type_are_opened_or_refused(
    console: Console, name: str, bent: dict[str, object]
) -> None:
    message = json.dumps({**MESSAGES[name], **bent}).encode()
    opened_or_refused(console, console.wrap(message))


@settings(max_examples=200)
@given(st.sampled_from(CONSOLES), st.sampled_from(sorted(MESSAGES)), st.randoms(), st.booleans())
def test_mutated_pushes_are_opened_or_refused(
    console: Console, name: str, chance: random.Random, signed: bool
) -> None:
    message = console.render(MESSAGES[name])
    if signed:
        opened_or_refused(console, console.wrap(_mutated(message, chance)))
    else:
        body, query = console.wrap(message)
        opened_or_refused(console, Request(_mutated(body, chance), query))


def _mutated(data: bytes, chance: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(mutated))
        mutated[at : at + chance.randint(0, 3)] = chance.randbytes(chance.randint(0, 3))
        mutated = mutated or bytearray(b"x")
    return bytes(mutated)
