"""Taking pushes in: only what is safe in the queue is acknowledged, and keys change meanwhile."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from wechatpy.crypto import WeChatCrypto

from tests.fakes import RecordingEvents
from tests.pushes import BROKEN_PUSHES, MESSAGES, BrokenPush, Console
from wechat_kf.adapters.aws.secret_cache import SecretCache
from wechat_kf.adapters.wechat.push_receiver import (
    KeysInDoubtError,
    PushPolicy,
    PushReceiver,
    Received,
)
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import Event
from wechat_kf.wechat.push import PushMode, PushRefusedError, Refusal

NOW = 1714112445
CONSOLE = Console(clock=lambda: NOW)
NEW = replace(CONSOLE, token="newtoken", encoding_aes_key="N" * 43)
MODES = ["plain", "compatible", "secure"]
FORMATS = ["xml", "json"]


def secret_of(console: Console, previous: Console | None = None) -> dict[str, str]:
    secret = {"token": console.token, "encoding_aes_key": console.encoding_aes_key}
    if previous is None:
        return secret
    return secret | {
        "previous_token": previous.token,
        "previous_encoding_aes_key": previous.encoding_aes_key,
    }


@dataclass
class FakeSecret:
    """A cached copy, and what Secrets Manager would answer now."""

    held: Mapping[str, str]
    latest: Mapping[str, str] | None = None
    refreshes: int = 0
    silent: bool = False

    def get(self) -> Mapping[str, str]:
        return self.held

    def refresh_now(self) -> bool:
        if self.silent:
            raise UnavailableError("Secrets Manager failed a moment ago")
        self.refreshes += 1
        before, self.held = self.held, self.latest or self.held
        return self.held != before


@dataclass
class House:
    """A receiver with what it stands on."""

    console: Console = CONSOLE
    secret: FakeSecret | None = None
    transfer: bool = False
    queue: RecordingEvents = field(default_factory=RecordingEvents)

    def __post_init__(self) -> None:
        self.secret = self.secret or FakeSecret(secret_of(self.console))
        mode = PushMode(self.console.mode)
        policy = PushPolicy(self.console.app_id, mode, 600, transfer_main_account=self.transfer)
        self.unusable: list[str] = []
        self.receiver = PushReceiver(
            policy,
            self.secret,
            self.queue,
            clock=lambda: NOW * 1000,
            report_unusable=self.unusable.append,
        )

    @property
    def queued(self) -> list[Event]:
        return list(self.queue.events.values())

    def receive(self, fields: Mapping[str, Any], **bent: Any) -> Received:
        return self.receiver.receive(*self.console.push(fields, **bent))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", MESSAGES)
def test_every_push_is_queued_and_acknowledged(mode: str, format: str, name: str) -> None:  # noqa: A002
    house = House(replace(CONSOLE, mode=mode, format=format))

    received = house.receive({**MESSAGES[name], "BusinessId": 42})

    assert received.answer == "success"
    assert house.queued == [received.event]
    assert received.event.conversation == "42#o9AgO5Kd5ggOC-bXrbNODIiE3bGY"


def test_a_repeated_push_is_the_same_event_and_acknowledged_again() -> None:
    house = House()

    first, second = house.receive(MESSAGES["text"]), house.receive(MESSAGES["text"])

    assert first == second
    assert house.queued == [first.event]


@pytest.mark.parametrize("broken", BROKEN_PUSHES, ids=lambda broken: broken.name)
def test_of_a_broken_push_nothing_is_queued(broken: BrokenPush) -> None:
    house = House()
    with pytest.raises(PushRefusedError):
        house.receiver.receive(*broken.build(house.console))
    assert house.queued == []


def test_without_the_queue_nothing_is_acknowledged() -> None:
    for transfer in (False, True):
        house = House(transfer=transfer, queue=RecordingEvents(down=True))
        with pytest.raises(UnavailableError):
            house.receive(MESSAGES["text"])


def test_url_verification_echoes() -> None:
    assert House().receiver.verify(CONSOLE.verification("123")) == "123"


# --- keys ----------------------------------------------------------------------------------


def test_keys_rotated_a_moment_ago_are_read_at_once() -> None:
    secret = FakeSecret(secret_of(CONSOLE), latest=secret_of(NEW, previous=CONSOLE))
    house = House(secret=secret)

    assert house.receiver.receive(*NEW.push(MESSAGES["text"])).answer == "success"
    assert house.receive(MESSAGES["image"]).answer == "success"
    assert secret.refreshes == 1


def test_url_verification_with_new_keys_reads_them_too() -> None:
    house = House(secret=FakeSecret(secret_of(CONSOLE), latest=secret_of(NEW)))
    assert house.receiver.verify(NEW.verification("123")) == "123"


@pytest.mark.parametrize("part", ["token", "encoding_aes_key"])
def test_token_and_key_can_be_rotated_one_at_a_time(part: str) -> None:
    renewed = replace(CONSOLE, **{part: getattr(NEW, part)})
    secret = secret_of(renewed) | {f"previous_{part}": getattr(CONSOLE, part)}
    house = House(secret=FakeSecret(secret))

    assert house.receive(MESSAGES["text"]).answer == "success"
    assert house.receiver.receive(*renewed.push(MESSAGES["image"])).answer == "success"


def test_once_the_previous_keys_are_gone_they_are_refused() -> None:
    house = House(secret=FakeSecret(secret_of(NEW)))
    with pytest.raises(PushRefusedError) as caught:
        house.receive(MESSAGES["text"])
    assert caught.value.refusal is Refusal.WRONG_SIGNATURE


@pytest.mark.parametrize(
    ("sender", "refusal"),
    [
        (replace(CONSOLE, token="BBBBB"), Refusal.WRONG_SIGNATURE),
        (replace(CONSOLE, encoding_aes_key="B" * 43), Refusal.UNDECRYPTABLE),
        (replace(CONSOLE, app_id="wx0000000000000000"), Refusal.WRONG_APP_ID),
    ],
)
def test_a_refusal_that_new_keys_could_explain_stands_when_there_are_none(
    sender: Console, refusal: Refusal
) -> None:
    house = House()
    with pytest.raises(PushRefusedError) as caught:
        house.receiver.receive(*sender.push(MESSAGES["text"]))
    assert caught.value.refusal is refusal
    assert house.secret is not None
    assert house.secret.refreshes == 1


def test_other_refusals_cost_no_look_at_the_secret() -> None:
    house = House()
    for broken in BROKEN_PUSHES:
        if broken.refusal in (Refusal.MALFORMED, Refusal.STALE, Refusal.REENCODED_BODY):
            with pytest.raises(PushRefusedError):
                house.receiver.receive(*broken.build(CONSOLE))
    assert house.secret is not None
    assert house.secret.refreshes == 0


@pytest.mark.parametrize(
    "secret",
    [
        {},
        {"token": "", "encoding_aes_key": "A" * 43},
        {"token": "the-token"},
        {"token": "the-token", "encoding_aes_key": "the-wrong-key"},
        {"token": "the-token", "encoding_aes_key": "A" * 43, "previous_encoding_aes_key": "short"},
    ],
)
def test_a_secret_that_cannot_be_used_makes_pushes_wait(secret: dict[str, str]) -> None:
    house = House(secret=FakeSecret(secret))
    with pytest.raises(UnavailableError, match="push secret") as caught:
        house.receive(MESSAGES["text"])
    assert not [value for value in secret.values() if value and value in str(caught.value)]


def test_a_secret_filled_in_later_is_taken_up() -> None:
    secret = FakeSecret({})
    house = House(secret=secret)
    with pytest.raises(UnavailableError):
        house.receive(MESSAGES["text"])

    secret.latest = secret_of(CONSOLE)

    assert house.receive(MESSAGES["text"]).answer == "success"


@pytest.mark.parametrize(
    "sender",
    [
        replace(CONSOLE, token="BBBBB"),
        replace(CONSOLE, encoding_aes_key="B" * 43),
        replace(CONSOLE, app_id="wx0000000000000000"),
    ],
)
def test_while_the_secret_cannot_be_read_again_keys_are_in_doubt(sender: Console) -> None:
    house = House(secret=FakeSecret(secret_of(CONSOLE), latest=secret_of(NEW), silent=True))
    with pytest.raises(KeysInDoubtError):
        house.receiver.receive(*sender.push(MESSAGES["text"]))
    with pytest.raises(KeysInDoubtError):
        house.receiver.verify(replace(CONSOLE, token="BBBBB").verification("123"))
    assert house.queued == []


@pytest.mark.parametrize("typo", [{"encoding_aes_key": "A" * 42}, {"token": ""}, {}])
def test_a_typo_in_the_secret_leaves_the_last_good_keys_in_use(typo: dict[str, str]) -> None:
    # Given a receiver that knows good keys, and a secret that was saved with a typo
    secret = FakeSecret(secret_of(CONSOLE))
    house = House(secret=secret)
    house.receive(MESSAGES["text"])
    secret.held = secret_of(CONSOLE) | typo if typo else {}

    # When pushes come that the good keys open, and others
    assert house.receive(MESSAGES["image"]).answer == "success"
    with pytest.raises(KeysInDoubtError):
        house.receiver.receive(*NEW.push(MESSAGES["text"]))

    # Then it was reported once, without the secret, and the corrected one is taken up
    assert len(house.unusable) == 1
    assert CONSOLE.token not in house.unusable[0]
    secret.latest = secret_of(NEW)
    assert house.receiver.receive(*NEW.push(MESSAGES["link"])).answer == "success"
    with pytest.raises(PushRefusedError) as caught:
        house.receive(MESSAGES["text"])
    assert not isinstance(caught.value, KeysInDoubtError)


def test_rotating_as_the_handbook_says_loses_no_push_whoever_else_is_calling() -> None:
    # Given the real cache, and strangers who push all the time
    clock = [NOW * 1000]
    stored = {"now": secret_of(CONSOLE)}

    class SecretsManager:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            return {"SecretString": json.dumps(stored["now"])}

    old, new = (replace(console, clock=lambda: clock[0] / 1000) for console in (CONSOLE, NEW))
    queue = RecordingEvents()
    receiver = PushReceiver(
        PushPolicy(old.app_id, PushMode.SECURE, 600),
        SecretCache(SecretsManager(), "arn", lambda: clock[0]),
        queue,
        clock=lambda: clock[0],
    )
    stranger = replace(old, token="stranger")

    def pushed(console: Console, number: int) -> bool:
        """Whether one of WeChat's three tries, five seconds apart, is taken."""
        for _ in range(3):
            clock[0] += 5_000
            for _ in range(3):
                with pytest.raises(PushRefusedError):
                    receiver.receive(*stranger.push(MESSAGES["text"]))
            with contextlib.suppress(PushRefusedError):
                receiver.receive(*console.push({**MESSAGES["text"], "MsgId": number}))
                return True
        return False

    # When the secret is saved, then the console, with a pause or in one go
    assert all(pushed(old, number) for number in range(1, 20))
    for pause in (0, 1_000, 360_000):
        stored["now"] = secret_of(new, previous=old)
        clock[0] += pause
        assert all(pushed(new, number) for number in range(20, 30))
        old, new = new, old

    # Then nothing was lost
    assert len(queue.events) == 29


def test_plain_mode_needs_no_aes_key() -> None:
    plain = replace(CONSOLE, mode="plain")
    house = House(plain, FakeSecret({"token": plain.token}))
    assert house.receive(MESSAGES["text"]).answer == "success"


# --- handing over to WeChat's own tool -----------------------------------------------------

TRANSFER = {
    "ToUserName": "o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
    "FromUserName": "gh_97417a04a28d",
    "CreateTime": NOW,
    "MsgType": "transfer_customer_service",
}


@pytest.mark.parametrize("name", ["text", "image", "miniprogrampage", "link"])
def test_the_main_accounts_messages_are_handed_over_if_so_wished(name: str) -> None:
    house = House(replace(CONSOLE, mode="plain", format="json"), transfer=True)

    received = house.receive(MESSAGES[name])

    assert json.loads(received.answer) == TRANSFER
    assert house.queued == [received.event]


@pytest.mark.parametrize("fields", [{"BusinessId": 42}, {"BusinessId": "42"}])
def test_a_sub_merchants_messages_are_never_handed_over(fields: dict[str, Any]) -> None:
    house = House(transfer=True)
    assert house.receive({**MESSAGES["text"], **fields}).answer == "success"


@pytest.mark.parametrize("name", ["user_enter_tempsession", "kf_create_session", "debug_demo"])
def test_events_are_never_handed_over(name: str) -> None:
    assert House(transfer=True).receive(MESSAGES[name]).answer == "success"


@pytest.mark.parametrize("mode", ["secure", "compatible"])
@pytest.mark.parametrize("sender", [CONSOLE, NEW], ids=["previous keys", "current keys"])
def test_an_encrypted_push_is_handed_over_under_the_keys_it_came_with(
    mode: str, sender: Console
) -> None:
    house = House(
        replace(sender, mode=mode), FakeSecret(secret_of(NEW, previous=CONSOLE)), transfer=True
    )
    theirs = WeChatCrypto(sender.token, sender.encoding_aes_key, sender.app_id)

    sealed = house.receive(MESSAGES["text"], nonce="nonce").answer

    signed = sealed.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    assert theirs.decrypt_message(sealed, signed, str(NOW), "nonce") == (
        "<xml><ToUserName><![CDATA[o9AgO5Kd5ggOC-bXrbNODIiE3bGY]]></ToUserName>"
        "<FromUserName><![CDATA[gh_97417a04a28d]]></FromUserName>"
        f"<CreateTime>{NOW}</CreateTime>"
        "<MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
    )


def test_a_plain_push_in_compatible_mode_is_handed_over_in_the_clear() -> None:
    house = House(replace(CONSOLE, mode="compatible"), transfer=True)
    plain = replace(CONSOLE, mode="plain", format="json")
    received = house.receiver.receive(*plain.push(MESSAGES["text"]))
    assert json.loads(received.answer) == TRANSFER
