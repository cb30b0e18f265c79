"""WeChat's stable_token, as the token keeper needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wechat_kf.domain.access_token import AccessToken
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.errors import UnavailableError
from wechat_kf.wechat.tokens import stable_token
from wechat_kf.wechat.transport import Transport


class StableTokenIssuer:
    """Calls stable_token with the app secret, read for each call: it is needed that rarely."""

    def __init__(
        self, transport: Transport, secret: Callable[[], Mapping[str, str]], clock: Clock
    ) -> None:
        self._transport = transport
        self._secret = secret
        self._clock = clock

    def issue(self, *, force: bool) -> AccessToken:
        """Raises `UnavailableError` while the app secret is not filled in, and WeChat's errors."""
        secret = self._secret()
        if not (secret.get("app_id") and secret.get("app_secret")):
            raise UnavailableError("the app secret is not filled in: app_id and app_secret")
        requested_at = self._clock()
        issued = stable_token(
            self._transport,
            app_id=secret["app_id"],
            app_secret=secret["app_secret"],
            force_refresh=force,
        )
        return AccessToken(
            value=issued.access_token,
            requested_at=requested_at,
            expires_at=requested_at + issued.expires_in * SECOND,
        )
