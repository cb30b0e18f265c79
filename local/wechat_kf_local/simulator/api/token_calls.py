"""token and stable_token (docs/wechat-api.md, section 9)."""

from typing import Any

from wechat_kf_local.simulator.api.calls import Call
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.rules.tokens import Family, Issued
from wechat_kf_local.simulator.world import World


def classic_token(world: World, call: Call) -> dict[str, Any]:
    query = call.query
    _check_grant(query.get("grant_type", ""))
    check_secret(world, call.client_ip, query.get("appid", ""), query.get("secret", ""))
    return _answer(world, Family.CLASSIC, world.tokens.classic())


def stable_token(world: World, call: Call) -> dict[str, Any]:
    _check_grant(call.text("grant_type"))
    check_secret(world, call.client_ip, call.text("appid"), call.text("secret"))
    force = call.document.get("force_refresh", False)
    if not isinstance(force, bool):
        raise Refused(47001)
    return _answer(world, Family.STABLE, world.tokens.stable(force=force))


def check_secret(world: World, client_ip: str, app_id: str, secret: str) -> None:
    """What guards every call that takes the AppSecret. Raises Refused."""
    settings = world.settings
    if not app_id:
        raise Refused(41002)
    if app_id != settings.app_id:
        raise Refused(40013)
    if not secret:
        raise Refused(41004)
    if secret != settings.app_secret:
        raise Refused(40125)
    if settings.ip_whitelist is not None and client_ip not in settings.ip_whitelist:
        raise Refused(40164, f"invalid ip {client_ip}, not in whitelist")


def _check_grant(grant_type: str) -> None:
    if grant_type != "client_credential":
        raise Refused(40002)


def _answer(world: World, family: Family, issued: Issued) -> dict[str, Any]:
    world.records.count("tokens", f"{family} {'new' if issued.fresh else 'same'}")
    world.records.events.publish(
        "token", family=family, fresh=issued.fresh, expires_in=issued.expires_in
    )
    return {"access_token": issued.value, "expires_in": issued.expires_in}
