"""Receive a push: open it with the current keys, and queue it as an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeVar

from wechat_kf.adapters.wechat.push_events import to_event
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import SECOND, Clock, now_ms
from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventQueue
from wechat_kf.observability import logger
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

T = TypeVar("T")

SUCCESS: Final = "success"
"""WeChat's word for "we have it, do not push it again"; never encrypted."""

_KEY_FAULTS: Final = {Refusal.WRONG_SIGNATURE, Refusal.UNDECRYPTABLE, Refusal.WRONG_APP_ID}


class SecretSource(Protocol):
    """The push secret, cached."""

    def get(self) -> Mapping[str, str]: ...

    def refresh_now(self) -> bool:
        """Read it again; return whether it changed. Raise `UnavailableError` when it cannot be."""


class KeysInDoubtError(PushRefusedError):
    """Refused, but the keys may have been rotated a moment ago: it must be pushed again."""


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


def _log_unusable(reason: str) -> None:
    logger.error("push secret unusable", reason=reason)


class PushReceiver:
    """Verifies, decrypts, parses and queues. Keeps the last keys that can be used.

    `report_unusable` is called with the reason for each version of the secret that cannot be used.
    """

    def __init__(
        self,
        policy: PushPolicy,
        secret: SecretSource,
        events: EventQueue,
        clock: Clock = now_ms,
        report_unusable: Callable[[str], None] = _log_unusable,
    ) -> None:
        self._policy = policy
        self._secret = secret
        self._events = events
        self._report_unusable = report_unusable
        self._clock = clock
        self._opened_with: Mapping[str, str] | None = None
        self._opener: PushOpener | None = None
        self._usable = False

    def verify(self, query: Mapping[str, str]) -> str:
        """Return the `echostr` to answer WeChat's URL verification with.

        Raises what `receive` raises.
        """
        return self._use_keys(lambda opener: opener.verify_url(query))

    def receive(self, body: bytes, query: Mapping[str, str]) -> Received:
        """Queue the push; return only when its event is safe.

        Raises:
            PushRefusedError: it is none of WeChat's, or broken; nothing was queued.
            KeysInDoubtError: perhaps it is WeChat's; nothing was queued, WeChat must try again.
            UnavailableError: the queue or the secret cannot be reached; WeChat must try again.
        """
        push = self._use_keys(lambda opener: opener.open(body, query))
        event = to_event(push, self._policy.app_id)
        self._events.put(event)
        return Received(event, self._answer_to(push, query))

    def _answer_to(self, push: Push, query: Mapping[str, str]) -> str:
        is_message = push.kind != EVENT
        # What the transfer does to a sub-merchant's conversation is documented nowhere.
        if self._policy.transfer_main_account and is_message and push.business_id == MAIN_ACCOUNT:
            return transfer_reply(push, nonce=query["nonce"], now=self._clock() // SECOND)
        return SUCCESS

    def _use_keys(self, use: Callable[[PushOpener], T]) -> T:
        """Use the keys in memory, and once more with those that were rotated a moment ago."""
        try:
            return use(self._current_opener())
        except PushRefusedError as error:
            refused = error
        if refused.refusal not in _KEY_FAULTS:
            raise refused
        try:
            changed = self._secret.refresh_now()
        except UnavailableError:
            raise KeysInDoubtError(refused.refusal) from None
        opener = self._current_opener()
        if not self._usable:
            raise KeysInDoubtError(refused.refusal)
        if not changed:
            raise refused
        return use(opener)

    def _current_opener(self) -> PushOpener:
        self._take_up(self._secret.get())
        if self._opener is None and self._secret.refresh_now():
            self._take_up(self._secret.get())
        if self._opener is None:
            # Not filled in yet, or filled in wrongly: not the fault of the push, which must wait.
            raise UnavailableError("the push secret cannot be used")
        return self._opener

    def _take_up(self, secret: Mapping[str, str]) -> None:
        if secret is self._opened_with:
            return
        self._opened_with = secret
        try:
            opener = PushOpener(
                app_id=self._policy.app_id,
                mode=self._policy.mode,
                keys=push_keys(secret),
                max_age_seconds=self._policy.max_age_seconds,
                clock=lambda: self._clock() / SECOND,
            )
        except ValueError as error:
            self._usable = False
            self._report_unusable(str(error))
        else:
            self._opener, self._usable = opener, True


def push_keys(secret: Mapping[str, str]) -> list[PushKeys]:
    """The current pair and, while rotating, the previous one; only one part may have changed."""
    current = PushKeys(secret.get("token", ""), secret.get("encoding_aes_key", ""))
    previous = PushKeys(
        secret.get("previous_token") or current.token,
        secret.get("previous_encoding_aes_key") or current.encoding_aes_key,
    )
    return [current] if previous == current else [current, previous]
