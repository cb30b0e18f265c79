"""Ask WeChat whether the account is set up as we need it; for `make doctor`.

Runs in the token function, the one place that knows the AppSecret: no caller needs more rights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from wechat_kf.adapters.wechat.token_issuer import SingleToken
from wechat_kf.app_errors import AppError
from wechat_kf.domain.access_token import TokenIssuer
from wechat_kf.wechat.diagnostics import CallbackCheck
from wechat_kf.wechat.errors import WeChatError
from wechat_kf.wechat.tokens import TokenSource


class NetworkChecker(Protocol):
    """The one call of the WeChat client that is used here."""

    def callback_check(self) -> CallbackCheck: ...


def check_setup(
    issuer: TokenIssuer, checker_for: Callable[[TokenSource], NetworkChecker]
) -> dict[str, Any]:
    """What WeChat sees of our push URL, as JSON without secrets.

    Asks for a token even though a good one is held: that is what proves the AppSecret and the IP
    whitelist as they are now. It is the same token until the last 5 minutes of its life, and the
    one before stays good for another 5, so the asking disturbs nobody. Raises what the issuer
    raises.
    """
    token = issuer.issue(force=False)
    try:
        check = checker_for(SingleToken(token.value)).callback_check()
    except WeChatError as error:
        return {"push_url": {"ok": False, **failure_facts(error)}}
    addresses = sorted({answer.ip for answer in check.dns} | {answer.ip for answer in check.ping})
    losses = sorted({answer.package_loss for answer in check.ping})
    return {"push_url": {"ok": True, "addresses": addresses, "package_loss": losses}}


def failure_facts(error: WeChatError | AppError) -> dict[str, Any]:
    """Return what may be shown of an error: code, WeChat's `errcode` and `rid`, our address."""
    facts = {name: getattr(error, name, None) for name in ("code", "errcode", "rid", "address")}
    return {name: value for name, value in facts.items() if value is not None}
