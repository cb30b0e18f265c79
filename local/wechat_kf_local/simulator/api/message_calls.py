"""Sending and the typing state (docs/wechat-api.md, sections 4 and 5)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from wechat_kf_local.simulator.api.calls import Call, business_id_of, text_of
from wechat_kf_local.simulator.records import digest
from wechat_kf_local.simulator.rules.conversations import MAIN_ACCOUNT, Shown
from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.world import World

OK: Final = {"errcode": 0, "errmsg": "ok"}

_OFFICIAL_ACCOUNT_ONLY: Final = frozenset(
    {"voice", "video", "music", "news", "mpnews", "mpnewsarticle", "wxcard"}
)


def send_as_sub_merchant(world: World, call: Call) -> dict[str, Any]:
    if "businessid" not in call.document:
        raise Refused(40101)
    return send(world, call)


def send(world: World, call: Call) -> dict[str, Any]:
    openid, business_id = _conversation(world, call)
    msgtype = call.text("msgtype")
    content = _checked_content(world, msgtype, call.document)
    shown = Shown(
        message_id=f"out-{world.records.counted('deliveries') + 1}",
        time=world.clock.now(),
        sender="merchant",
        msgtype=msgtype,
        content=content,
        ai_generated=_ai_generated(call.document),
    )
    world.conversations.send(openid, business_id, shown)
    world.records.delivery(
        message_id=shown.message_id,
        openid=openid,
        business_id=str(business_id),
        msgtype=msgtype,
        content=content,
        digest=digest(content),
        ai_generated=shown.ai_generated,
    )
    return OK


def typing(world: World, call: Call) -> dict[str, Any]:
    openid, business_id = _conversation(world, call)
    match call.text("command"):
        case "Typing":
            world.conversations.type(openid, business_id)
        case "CancelTyping":
            world.conversations.cancel_typing(openid, business_id)
        case _:
            raise Refused(45072)
    world.records.events.publish(
        "typing", openid=openid, business_id=str(business_id), command=call.text("command")
    )
    return OK


def _conversation(world: World, call: Call) -> tuple[str, int]:
    openid = call.document.get("touser")
    if not isinstance(openid, str):
        raise Refused(40003)
    world.conversations.check_buyer(openid)
    if "businessid" not in call.document:
        return openid, MAIN_ACCOUNT
    business_id = business_id_of(call.document["businessid"])
    return openid, world.accounts.by_id(business_id).business_id


def _ai_generated(document: Mapping[str, Any]) -> bool:
    context = document.get("aimsgcontext", {})
    if not isinstance(context, dict) or context.get("is_ai_msg", 0) not in (0, 1):
        raise Refused(47001)
    return bool(context.get("is_ai_msg", 0))


def _checked_content(world: World, msgtype: str, document: Mapping[str, Any]) -> dict[str, Any]:
    if msgtype in _OFFICIAL_ACCOUNT_ONLY:
        raise Refused(48008)
    check = _CHECKS.get(msgtype)
    if check is None:
        raise Refused(40008)
    content = document.get(msgtype)
    if not isinstance(content, dict):
        raise Refused(40101 if content is None else 47001)
    check(world, content)
    return content


def _check_text(world: World, content: Mapping[str, Any]) -> None:
    text = text_of(content, "content")
    if not text:
        raise Refused(44004)
    if len(text.encode("utf-8", "surrogatepass")) > world.settings.max_text_bytes:
        raise Refused(45002)


def _check_image(world: World, content: Mapping[str, Any]) -> None:
    world.media.image(text_of(content, "media_id"))


def _check_link(world: World, content: Mapping[str, Any]) -> None:
    settings = world.settings
    _check_length(content, "title", settings.max_title_characters, 45003)
    _check_length(content, "description", settings.max_description_characters, 45004)
    _check_length(content, "url", settings.max_url_characters, 45005)
    _check_length(content, "thumb_url", settings.max_url_characters, 45006)


def _check_card(world: World, content: Mapping[str, Any]) -> None:
    _check_length(content, "title", world.settings.max_title_characters, 45003)
    _check_length(content, "pagepath", world.settings.max_url_characters, 45005)
    world.media.image(text_of(content, "thumb_media_id"))
    if text_of(content, "appid") not in ("", world.settings.app_id):
        raise Refused(40013)


def _check_menu(world: World, content: Mapping[str, Any]) -> None:
    if not world.settings.allow_msgmenu:
        raise Refused(48008)
    items = content.get("list")
    if not isinstance(items, list) or not items:
        raise Refused(40101)
    for item in items:
        if not isinstance(item, dict) or not text_of(item, "id") or not text_of(item, "content"):
            raise Refused(40101)


def _check_length(content: Mapping[str, Any], name: str, limit: int, errcode: int) -> None:
    value = text_of(content, name)
    if not value:
        raise Refused(40101)
    if len(value) > limit:
        raise Refused(errcode)


_CHECKS: Final[Mapping[str, Callable[[World, Mapping[str, Any]], None]]] = {
    "text": _check_text,
    "image": _check_image,
    "link": _check_link,
    "miniprogrampage": _check_card,
    "msgmenu": _check_menu,
}
