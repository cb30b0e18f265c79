"""WeChat's stable_token, as the token keeper needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.access_token import AccessToken
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import Retry, TokenRefusedError, WeChatApiError
from wechat_kf.wechat.tokens import stable_token
from wechat_kf.wechat.transport import Transport


@dataclass(frozen=True, slots=True)
class SingleToken:
    """Implements `TokenSource` for one token: there is no other."""

    value: str = field(repr=False)

    def current(self) -> str:
        return self.value

    def refused(self, token: str) -> str:
        return token


@dataclass(frozen=True, slots=True)
class StableTokenIssuer:
    """Calls stable_token for `app_id`; the app secret is read for each call, which is rare."""

    app_id: str
    transport: Transport
    secret: Callable[[], Mapping[str, str]] = field(repr=False)
    clock: Clock

    def issue(self, *, force: bool) -> AccessToken:
        """Raise `UnavailableError` while the app secret cannot be used, and WeChat's errors."""
        secret = self.secret()
        if not (secret.get("app_id") and secret.get("app_secret")):
            raise UnavailableError("the app secret is not filled in: app_id and app_secret")
        # Stored under our AppID, it would send every message as the other app.
        if secret["app_id"] != self.app_id:
            raise UnavailableError("the app secret is that of another app than the stack's AppId")
        requested_at = self.clock()
        issued = stable_token(
            self.transport,
            app_id=self.app_id,
            app_secret=secret["app_secret"],
            force_refresh=force,
        )
        return AccessToken(
            value=issued.access_token,
            requested_at=requested_at,
            expires_at=requested_at + issued.expires_in * SECOND,
        )

    def accepts(self, token: AccessToken) -> bool:
        """Return whether WeChat lists its callback addresses for the token. Raise if unclear."""
        client = WeChatClient(self.transport, tokens=SingleToken(token.value), app_id=self.app_id)
        try:
            client.callback_ips()
        except TokenRefusedError:
            return False
        except WeChatApiError as error:
            if error.retry is Retry.BACKOFF:  # busy, or a code that nobody knows
                raise
        return True
