"""Receive a push: open it with the current keys, and queue it as an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.domain.clock import SECOND, Clock, now_ms
from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventQueue
from wechat_kf.errors import UnavailableError
from wechat_kf.wechat.push import (
    EVENT,
    Push,
    PushKeys,
    PushMode,
    PushOpener,
    PushRefusedError,
    Refusal,
    transfer_reply,
)

SUCCESS: Final = "success"
"""WeChat's word for "we have it, do not push it again"; never encrypted."""

_KEY_FAULTS: Final = {Refusal.WRONG_SIGNATURE, Refusal.UNDECRYPTABLE, Refusal.WRONG_APP_ID}


class SecretSource(Protocol):
    """The push secret, cached."""

    def get(self) -> Mapping[str, str]: ...

    def refresh_now(self) -> bool:
        """Read it again, at most every half minute; whether it changed."""


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """How pushes are checked and answered.

    max_age_seconds        None accepts any age
    transfer_main_account  answer the main account's messages so that WeChat hands them to its own
                           service tool; sub-merchants have `transfer_to_commkf` for that
    """

    app_id: str
    mode: PushMode
    max_age_seconds: int | None
    transfer_main_account: bool = False


class Received(NamedTuple):
    """A push that is safe in the queue, and what to answer WeChat."""

    event: Event
    answer: str


class PushReceiver:
    """Verifies, decrypts, parses and queues. Needs no state but the secret's copy."""

    def __init__(
        self, policy: PushPolicy, secret: SecretSource, events: EventQueue, clock: Clock = now_ms
    ) -> None:
        self._policy = policy
        self._secret = secret
        self._events = events
        self._clock = clock
        self._opened_with: Mapping[str, str] | None = None
        self._opener: PushOpener | None = None

    def verify(self, query: Mapping[str, str]) -> str:
        """The `echostr` to answer WeChat's URL verification with.

        Raises `PushRefusedError`, `UnavailableError`.
        """
        try:
            return self._current_opener().verify_url(query)
        except PushRefusedError as error:
            return self._newer_opener(error).verify_url(query)

    def receive(self, body: bytes, query: Mapping[str, str]) -> Received:
        """Queue the push; returns only when its event is safe.

        Raises:
            PushRefusedError: it is none of WeChat's, or broken; nothing was queued.
            UnavailableError: the queue or the secret cannot be reached; WeChat must try again.
        """
        try:
            push = self._current_opener().open(body, query)
        except PushRefusedError as error:
            push = self._newer_opener(error).open(body, query)
        event = to_event(push, self._policy.app_id)
        self._events.put(event)
        return Received(event, self._answer_to(push, query))

    def _answer_to(self, push: Push, query: Mapping[str, str]) -> str:
        is_message = push.kind != EVENT
        # What the transfer does to a sub-merchant's conversation is documented nowhere.
        if self._policy.transfer_main_account and is_message and push.business_id == MAIN_ACCOUNT:
            return transfer_reply(push, nonce=query["nonce"], now=self._clock() // SECOND)
        return SUCCESS

    def _newer_opener(self, error: PushRefusedError) -> PushOpener:
        """The keys may have been rotated a moment ago: look once, or believe the refusal.

        Raises `error` unless there are other keys than those that led to it.
        """
        if error.refusal not in _KEY_FAULTS or not self._secret.refresh_now():
            raise error
        return self._current_opener()

    def _current_opener(self) -> PushOpener:
        secret = self._secret.get()
        if self._opener is None or secret is not self._opened_with:
            self._opener = self._new_opener(push_keys(secret))
            self._opened_with = secret
        return self._opener

    def _new_opener(self, keys: list[PushKeys]) -> PushOpener:
        try:
            return PushOpener(
                app_id=self._policy.app_id,
                mode=self._policy.mode,
                keys=keys,
                max_age_seconds=self._policy.max_age_seconds,
                clock=lambda: self._clock() / SECOND,
            )
        except ValueError as error:
            # Not filled in yet, or filled in wrongly: not the fault of the push, which must wait.
            raise UnavailableError(f"the push secret cannot be used: {error}") from None


def push_keys(secret: Mapping[str, str]) -> list[PushKeys]:
    """The current pair and, while rotating, the previous one; only one part may have changed."""
    current = PushKeys(secret.get("token", ""), secret.get("encoding_aes_key", ""))
    previous = PushKeys(
        secret.get("previous_token") or current.token,
        secret.get("previous_encoding_aes_key") or current.encoding_aes_key,
    )
    return [current] if previous == current else [current, previous]
