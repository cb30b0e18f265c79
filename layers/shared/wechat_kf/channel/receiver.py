"""Taking a push in: open it with the keys of the moment, and queue the event it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from wechat_kf.channel.inbound import event_of
from wechat_kf.domain.event import Event
from wechat_kf.domain.outbound import EventQueue
from wechat_kf.errors import UnavailableError
from wechat_kf.wechat.push import PushKeys, PushMode, PushOpener, PushRefusedError, Refusal

T = TypeVar("T")


class SecretSource(Protocol):
    """The push secret, cached."""

    def get(self) -> Mapping[str, str]: ...

    def refresh_now(self) -> bool:
        """Read it again, at most every half minute; whether it changed."""


@dataclass(frozen=True, slots=True)
class PushPolicy:
    """How pushes are checked; `max_age_seconds` None accepts any age."""

    app_id: str
    mode: PushMode
    max_age_seconds: int | None


class PushReceiver:
    """Verifies, decrypts, parses and queues. Needs no state but the secret's copy."""

    def __init__(self, policy: PushPolicy, secret: SecretSource, events: EventQueue) -> None:
        self._policy = policy
        self._secret = secret
        self._events = events
        self._opened_with: Mapping[str, str] | None = None
        self._opener: PushOpener | None = None

    def verify(self, query: Mapping[str, str]) -> str:
        """The `echostr` to answer WeChat's URL verification with.

        Raises `PushRefusedError`, `UnavailableError`.
        """
        return self._with_opener(lambda opener: opener.verify_url(query))

    def receive(self, body: bytes, query: Mapping[str, str]) -> Event:
        """Queue the push and return its event; returns only when the event is safe.

        Raises:
            PushRefusedError: it is none of WeChat's, or broken; nothing was queued.
            UnavailableError: the queue or the secret cannot be reached; WeChat must try again.
        """
        push = self._with_opener(lambda opener: opener.open(body, query))
        event = event_of(push, self._policy.app_id)
        self._events.put(event)
        return event

    def _with_opener(self, use: Callable[[PushOpener], T]) -> T:
        try:
            return use(self._opener_for(self._secret.get()))
        except PushRefusedError as error:
            if error.refusal not in _KEY_FAULTS:
                raise
            refusal = error
        # The keys may have been rotated a moment ago: look once more, then believe the refusal.
        if not self._secret.refresh_now():
            raise refusal
        return use(self._opener_for(self._secret.get()))

    def _opener_for(self, secret: Mapping[str, str]) -> PushOpener:
        if self._opener is None or secret != self._opened_with:
            self._opener = PushOpener(
                app_id=self._policy.app_id,
                mode=self._policy.mode,
                keys=push_keys(secret),
                max_age_seconds=self._policy.max_age_seconds,
            )
            self._opened_with = secret
        return self._opener


_KEY_FAULTS = frozenset({Refusal.WRONG_SIGNATURE, Refusal.UNDECRYPTABLE, Refusal.WRONG_APP_ID})


def push_keys(secret: Mapping[str, str]) -> list[PushKeys]:
    """The pairs to try, the current one first; while rotating, either part may be the previous one.

    Raises `UnavailableError` while the secret is not filled in.
    """
    try:
        tokens = [secret["token"], secret.get("previous_token")]
        aes_keys = [secret["encoding_aes_key"], secret.get("previous_encoding_aes_key")]
    except KeyError as error:
        raise UnavailableError(f"the push secret is not filled in: {error.args[0]}") from None
    return [
        PushKeys(token, aes_key)
        for aes_key in filter(None, aes_keys)
        for token in filter(None, tokens)
    ]
