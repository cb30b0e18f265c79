"""Quotas, rids, addresses and the callback check (docs/wechat-api.md, section 11.2)."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

from wechat_kf_local.simulator.api.calls import Call
from wechat_kf_local.simulator.api.token_calls import check_secret
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World

OK: Final = {"errcode": 0, "errmsg": "ok"}

# Addresses kept for documentation (RFC 5737): nothing may ever take them for WeChat's.
CALLBACK_IPS: Final = ["203.0.113.10", "203.0.113.11", "198.51.100.0/25"]
API_DOMAIN_IPS: Final = ["192.0.2.20", "192.0.2.21"]

_RID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}")
_OPERATORS: Final = ("CHINANET", "UNICOM", "CAP", "DEFAULT")


def get_quota(world: World, call: Call, known_paths: frozenset[str]) -> dict[str, Any]:
    path = call.text("cgi_path")
    if not path.startswith("/"):
        raise Refused(76003)
    if path not in known_paths:
        raise Refused(76021)
    limit, used = world.quotas.daily_limit(path), world.quotas.used(path)
    return OK | {
        "quota": {"daily_limit": limit, "used": used, "remain": limit - used},
        "rate_limit": {"call_count": world.quotas.minute_limit(path), "refresh_second": 60},
        "component_rate_limit": {"call_count": 0, "refresh_second": 0},
    }


def clear_quota(world: World, call: Call) -> dict[str, Any]:
    if call.text("appid") != world.settings.app_id:
        raise Refused(40013)
    world.quotas.clear()
    return OK


def clear_quota_by_secret(world: World, call: Call) -> dict[str, Any]:
    check_secret(world, call.client_ip, call.text("appid"), call.text("appsecret"))
    world.quotas.clear()
    return OK


def get_rid(world: World, call: Call) -> dict[str, Any]:
    rid = call.text("rid")
    if not _RID.fullmatch(rid):
        raise Refused(76002)
    found = world.records.request(rid)
    request = {
        "invoke_time": int(found.invoke_time),
        "cost_in_ms": found.cost_in_ms,
        "request_url": found.url,
        "request_body": found.body,
        "response_body": found.answer,
        "client_ip": found.client_ip,
    }
    return OK | {"request": request}


def callback_ips(_world: World, _call: Call) -> dict[str, Any]:
    return {"ip_list": CALLBACK_IPS}


def api_domain_ips(_world: World, _call: Call) -> dict[str, Any]:
    return {"ip_list": API_DOMAIN_IPS}


def callback_check(world: World, call: Call) -> dict[str, Any]:
    action, operator = call.text("action"), call.text("check_operator")
    if not urlsplit(world.settings.push_url).hostname:
        raise Refused(40201)
    if action not in ("dns", "ping", "all"):
        raise Refused(40202)
    if operator not in _OPERATORS:
        raise Refused(40203)
    network = "UNICOM" if operator == "DEFAULT" else operator
    ping = {"package_loss": "0%", "time": "1.210ms"}
    address = "198.51.100.200"
    answer: dict[str, Any] = {}
    if action != "ping":
        answer["dns"] = [{"ip": address, "real_operator": network}]
    if action != "dns":
        answer["ping"] = [{"ip": address, "from_operator": network, **ping}]
    return OK | answer
