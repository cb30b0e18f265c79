"""Keeps the access token good. The one function that knows the app secret."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from wechat_kf.aws.clients import dynamodb_client, secrets_manager_client
from wechat_kf.aws.secrets import read_secret
from wechat_kf.aws.tokens_table import TokensTable
from wechat_kf.channel.client import WeChatSettings, create_transport
from wechat_kf.channel.tokens import StableTokenIssuer
from wechat_kf.config import load_settings
from wechat_kf.domain.access_token import TokenKeeper
from wechat_kf.domain.clock import now_ms
from wechat_kf.errors import UnavailableError
from wechat_kf.observability import count, logger
from wechat_kf.wechat.errors import WeChatError


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Environment of the token function."""

    app_id: str
    app_secret_arn: str
    tokens_table: str


SETTINGS = load_settings(TokenSettings)
SECRETS_MANAGER = secrets_manager_client()
KEEPER = TokenKeeper(
    store=TokensTable(dynamodb_client(), SETTINGS.tokens_table, SETTINGS.app_id),
    issuer=StableTokenIssuer(
        create_transport(load_settings(WeChatSettings)),
        lambda: read_secret(SECRETS_MANAGER, SETTINGS.app_secret_arn),
        now_ms,
    ),
    clock=now_ms,
    owner=uuid.uuid4().hex,
)


def handler(event: dict[str, Any], context: Any) -> dict[str, bool]:
    """Invoked by the schedule with `warm_up`, by workers with `refused` (a fingerprint or null).

    Answers `{"ok": true}` when the table holds a usable token, and never with the token itself.
    """
    try:
        KEEPER.refresh(event.get("refused"), warm_up=bool(event.get("warm_up")))
    except (WeChatError, UnavailableError) as error:
        count("TokenRefreshFailed", reason=error.code)
        logger.error(
            "token refresh failed",
            reason=error.code,
            errcode=getattr(error, "errcode", None),
            rid=getattr(error, "rid", None),
        )
        return {"ok": False}
    return {"ok": True}
