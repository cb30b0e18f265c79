"""business/register, update, get and list (docs/wechat-api.md, section 3)."""

from typing import Any

from wechat_kf_local.simulator.api.calls import Call, business_id_of
from wechat_kf_local.simulator.rules.accounts import SubMerchant
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World, picture_url

MAX_PAGE = 200


def register(world: World, call: Call) -> dict[str, Any]:
    icon_media_id = call.text("icon_media_id")
    transfer = call.document.get("transfer_to_commkf", False)
    if not isinstance(transfer, bool):
        raise Refused(47001)
    world.media.image(icon_media_id)
    created = world.accounts.register(
        call.text("account_name"), call.text("nickname"), icon_media_id, transfer=transfer
    )
    world.records.registered(created)
    return {"errcode": 0, "errmsg": "", "business_id": created.business_id}


def update(world: World, call: Call) -> dict[str, Any]:
    business_id = _existing_id(world, call.document.get("business_id"))
    icon_media_id = call.text("icon_media_id")
    if icon_media_id:
        world.media.image(icon_media_id)
    world.accounts.update(business_id, nickname=call.text("nickname"), icon_media_id=icon_media_id)
    return {"errcode": 0, "errmsg": "ok"}


def get(world: World, call: Call) -> dict[str, Any]:
    by_id, by_name = "business_id" in call.document, "account_name" in call.document
    if by_id == by_name:
        raise Refused(40035)
    merchant = (
        world.accounts.by_id(business_id_of(call.document["business_id"]))
        if by_id
        else world.accounts.by_name(call.text("account_name"))
    )
    return {"errcode": 0, "errmsg": "", "business_info": _described(merchant, call.base_url)}


def list_page(world: World, call: Call) -> dict[str, Any]:
    offset, count = _whole(call, "offset"), _whole(call, "count")
    if offset < 0 or not 1 <= count <= MAX_PAGE:
        raise Refused(40035)
    page = world.accounts.page(offset, count)
    # As in WeChat's sample: no errcode, and no total.
    return {"list": [_described(merchant, call.base_url) for merchant in page]}


def _existing_id(world: World, value: Any) -> int:
    return world.accounts.by_id(business_id_of(value)).business_id


def _whole(call: Call, name: str) -> int:
    value = call.document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(40035)
    return value


def _described(merchant: SubMerchant, base_url: str) -> dict[str, Any]:
    return {
        "business_id": merchant.business_id,
        "account_name": merchant.account_name,
        "nickname": merchant.nickname,
        "icon_url": picture_url(base_url, merchant.icon_media_id),
    }
