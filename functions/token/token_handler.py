"""Keeps the access token good. The one function that knows the app secret."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from wechat_kf.adapters.aws.clients import dynamodb_client, secrets_manager_client
from wechat_kf.adapters.aws.secret_cache import read_secret
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client, create_transport
from wechat_kf.adapters.wechat.setup_check import check_setup, failure_facts
from wechat_kf.adapters.wechat.token_issuer import StableTokenIssuer
from wechat_kf.app_errors import UnavailableError
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenKeeper
from wechat_kf.domain.clock import now_ms
from wechat_kf.observability import count, guard_invocation, logger
from wechat_kf.wechat.errors import WeChatError


class TokenSettings:
    """Environment of the token function."""

    app_id: str
    app_secret_arn: str
    tokens_table: str


SETTINGS = load_settings(TokenSettings)
WECHAT_SETTINGS = load_settings(WeChatSettings)
SECRETS_MANAGER = secrets_manager_client()
ISSUER = StableTokenIssuer(
    app_id=SETTINGS.app_id,
    transport=create_transport(WECHAT_SETTINGS),
    secret=lambda: read_secret(SECRETS_MANAGER, SETTINGS.app_secret_arn),
    clock=now_ms,
)
KEEPER = TokenKeeper(
    store=TokensTable(dynamodb_client(), SETTINGS.tokens_table, SETTINGS.app_id),
    issuer=ISSUER,
    clock=now_ms,
    owner=uuid.uuid4().hex,
)


@guard_invocation
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Invoked by the schedule with `warm_up`, by workers with `refused` (a fingerprint or null).

    Answers `{"ok": true}` when the table holds a usable token, and never with the token itself;
    else `{"ok": false}` with the reason. With `check` (an operator's `make doctor`) the AppSecret
    is proved again, and `push_url` says what WeChat sees of it.
    """
    try:
        KEEPER.refresh(event.get("refused"), warm_up=bool(event.get("warm_up")))
        if event.get("check"):
            return {"ok": True, **check_setup(ISSUER, partial(create_client, WECHAT_SETTINGS))}
    except (WeChatError, UnavailableError) as error:
        facts = failure_facts(error)
        count("TokenRefreshFailed", reason=error.code)
        logger.error("token refresh failed", reason=facts.pop("code"), **facts)
        return {"ok": False, "code": error.code, "detail": str(error), **facts}
    return {"ok": True}
