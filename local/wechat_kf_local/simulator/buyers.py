"""The buyers' phones: what they do is pushed, what they are sent is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wechat_kf_local.png import plain_png
from wechat_kf_local.simulator.delivery import Delivered, Postman, Push
from wechat_kf_local.simulator.pushes import Fields, Verdict
from wechat_kf_local.simulator.rules.conversations import (
    MAIN_ACCOUNT,
    TRANSFER_SECONDS,
    Conversation,
    Shown,
)
from wechat_kf_local.simulator.settings import CHOICES, SettingsError
from wechat_kf_local.simulator.world import World, picture_url

UNAVAILABLE: Final = "该小程序客服暂时无法提供服务，请稍后再试"
MAX_SESSION_FROM_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class Manner:
    """How one push is made: mode and format, and whether to wait for its answer."""

    mode: str
    format: str
    wait: bool = True

    @classmethod
    def of(cls, order: Mapping[str, Any], world: World) -> "Manner":
        """From an order that may differ from the settings. Raises SettingsError."""
        chosen = {}
        for name in ("mode", "format"):
            chosen[name] = order.get(name, getattr(world.settings, name))
            if chosen[name] not in CHOICES[name]:
                raise SettingsError(f"{name}: must be one of {', '.join(CHOICES[name])}")
        return cls(**chosen, wait=bool(order.get("wait", True)))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a buyer does: the push's own fields, and what their phone shows of it."""

    fields: Fields
    content: dict[str, Any]

    @property
    def msgtype(self) -> str:
        return str(self.fields["MsgType"])


class Buyers:
    """Carries out what buyers do."""

    def __init__(self, world: World, postman: Postman) -> None:
        self._world = world
        self._postman = postman

    async def enter(
        self, openid: str, business_id: int, session_from: str, manner: Manner
    ) -> dict[str, Any]:
        """Open the conversation by its button. `session_from` is cut to 1000 UTF-8 bytes."""
        cut = session_from.encode("utf-8", "replace")[:MAX_SESSION_FROM_BYTES]
        own = {"MsgType": "event", "Event": "user_enter_tempsession"}
        fields = self._common(openid) | own | {"SessionFrom": cut.decode("utf-8", "ignore")}
        if self._world.settings.include_business_id_on_enter:
            fields |= self._business(business_id)
        conversation = self._world.conversations.enter(openid, business_id)
        self._world.records.events.publish("entered", openid=openid, business_id=str(business_id))
        return await self._push(conversation, fields, manner)

    async def say(
        self, openid: str, business_id: int, outgoing: Outgoing, manner: Manner
    ) -> dict[str, Any]:
        """Send a message. While an agent of the web tool has the conversation, none is pushed."""
        message_id = self._world.message_ids.next()
        fields = self._common(openid) | outgoing.fields | {"MsgId": message_id}
        fields |= self._business(business_id)
        shown = Shown(
            message_id=str(message_id),
            time=self._world.clock.now(),
            sender="buyer",
            msgtype=outgoing.msgtype,
            content=outgoing.content,
        )
        conversation = self._world.conversations.say(openid, business_id, shown)
        self._world.records.events.publish(
            "said", openid=openid, business_id=str(business_id), message=_described(shown)
        )
        if self._world.clock.now() < conversation.transferred_until:
            return _outcome(fields, None) | {"transferred": True}
        return await self._push(conversation, fields, manner)

    async def other(
        self, openid: str, business_id: int, own: Fields, manner: Manner
    ) -> dict[str, Any]:
        """Push any fields at all, to play types that are not documented. Opens no window."""
        conversation = self._world.conversations.get(openid, business_id)
        fields = self._common(openid) | own | self._business(business_id)
        return await self._push(conversation, fields, manner)

    def text(self, content: str) -> Outgoing:
        return Outgoing({"MsgType": "text", "Content": content}, {"content": content})

    def image(self, content: bytes | None, base_url: str) -> Outgoing:
        """A picture: it can be fetched by its media id for three days. Raises Refused."""
        media = self._world.media.add("image", plain_png() if content is None else content)
        url = picture_url(base_url, media.media_id)
        return Outgoing(
            {"MsgType": "image", "PicUrl": url, "MediaId": media.media_id},
            {"media_id": media.media_id, "picture_url": url},
        )

    def card(self, title: str, page_path: str, *, with_thumb: bool, base_url: str) -> Outgoing:
        """A Mini Program card; without a thumb both of its fields are empty."""
        media = self._world.media.add("image", plain_png(rgb=(80, 120, 200)))
        thumb_id = media.media_id if with_thumb else ""
        fields: Fields = {
            "MsgType": "miniprogrampage",
            "Title": title,
            "AppId": self._world.settings.app_id,
            "PagePath": page_path,
            "ThumbUrl": picture_url(base_url, thumb_id) if thumb_id else "",
            "ThumbMediaId": thumb_id,
        }
        return Outgoing(fields, {"title": title, "page_path": page_path})

    def phone(self, openid: str, base_url: str) -> dict[str, Any]:
        """What the buyer sees, conversation by conversation."""
        conversations = self._world.conversations.of_buyer(openid)
        return {
            "openid": openid,
            "now": self._world.clock.now(),
            "conversations": [self._seen(item, base_url) for item in conversations],
        }

    def messages(self, openid: str) -> list[dict[str, Any]]:
        """The messages of all conversations, oldest first."""
        found = [
            {"business_id": str(item.business_id), "nickname": self._nickname(item)}
            | _described(message)
            for item in self._world.conversations.of_buyer(openid)
            for message in item.messages
        ]
        return sorted(found, key=lambda message: float(message["time"]))

    def _seen(self, conversation: Conversation, base_url: str) -> dict[str, Any]:
        now = self._world.clock.now()
        openid, business_id = conversation.openid, conversation.business_id
        window = self._world.conversations.window(openid, business_id)
        is_open = now < window.deadline
        icon_url = None
        if business_id != MAIN_ACCOUNT:
            icon = self._world.accounts.by_id(business_id).icon_media_id
            icon_url = picture_url(base_url, icon)
        return {
            "business_id": str(business_id),
            "nickname": self._nickname(conversation),
            "icon_url": icon_url,
            "typing": now < conversation.typing_until,
            "typing_until": conversation.typing_until,
            "transferred": now < conversation.transferred_until,
            "window": {
                "open": is_open,
                "remaining": window.remaining if is_open else 0,
                "deadline": window.deadline,
            },
            "messages": [_described(message) for message in conversation.messages],
        }

    def _nickname(self, conversation: Conversation) -> str:
        if conversation.business_id == MAIN_ACCOUNT:
            return self._world.settings.original_id
        return self._world.accounts.by_id(conversation.business_id).nickname

    def _common(self, openid: str) -> Fields:
        return {
            "ToUserName": self._world.settings.original_id,
            "FromUserName": openid,
            "CreateTime": int(self._world.clock.now()),
        }

    def _business(self, business_id: int) -> Fields:
        if business_id != MAIN_ACCOUNT:
            return {"BusinessId": business_id}
        spelled: dict[str, Fields] = {
            "absent": {},
            "zero": {"BusinessId": 0},
            "empty": {"BusinessId": ""},
        }
        return spelled[self._world.settings.main_account_business_id]

    async def _push(
        self, conversation: Conversation, fields: Fields, manner: Manner
    ) -> dict[str, Any]:
        if not self._world.settings.push_url:  # as without message push: only WeChat's own tools
            return _outcome(fields, None)
        push = Push(fields, mode=manner.mode, format=manner.format)
        fault = self._world.faults.for_push(push.openid, str(conversation.business_id))
        kind = fault.kind if fault else None
        if kind is not None:
            self._world.records.events.publish("fault", fault=kind, push=_message_id(fields))
        if kind == "duplicate":
            self._postman.in_background(self._deliver(conversation, push, fault=kind))
            kind = None  # the other one of the two goes the ordinary way
        delivery = self._deliver(conversation, push, fault=kind)
        if kind == "reorder" or not manner.wait:
            self._postman.in_background(delivery)
            return _outcome(fields, None) | {"held": kind == "reorder"}
        return _outcome(fields, await delivery)

    async def _deliver(
        self, conversation: Conversation, push: Push, *, fault: str | None
    ) -> Delivered:
        if fault == "reorder":
            await self._postman.held_back()
        delivered = await self._postman.deliver(push)
        now = self._world.clock.now()
        if delivered.verdict is Verdict.TRANSFER:
            conversation.transferred_until = now + TRANSFER_SECONDS
        if delivered.verdict is Verdict.BAD and push.is_message and fault != "duplicate":
            notice = Shown(f"notice-{now}", now, "notice", "notice", {"content": UNAVAILABLE})
            conversation.messages.append(notice)
        self._record(conversation, push, delivered, fault=fault)
        return delivered

    def _record(
        self, conversation: Conversation, push: Push, delivered: Delivered, *, fault: str | None
    ) -> None:
        self._world.records.push(
            openid=push.openid,
            business_id=str(conversation.business_id),
            msgtype=push.fields["MsgType"],
            msg_id=_message_id(push.fields),
            mode=push.mode,
            format=push.format,
            fault=fault,
            accepted=delivered.verdict is not Verdict.BAD,
            verdict=delivered.verdict,
            attempts=[attempt.described() for attempt in delivered.attempts],
            fields=push.fields,
            request=delivered.request.described(),
        )


def _outcome(fields: Fields, delivered: Delivered | None) -> dict[str, Any]:
    """What the order for a push is answered: `accepted` is null while nobody knows."""
    return {
        "msg_id": _message_id(fields),
        "attempts": [item.described() for item in delivered.attempts] if delivered else [],
        "accepted": delivered.verdict is not Verdict.BAD if delivered else None,
        "verdict": delivered.verdict if delivered else None,
    }


def _message_id(fields: Fields) -> str | None:
    """As text: numbers this large do not survive JavaScript."""
    return str(fields["MsgId"]) if "MsgId" in fields else None


def _described(message: Shown) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "time": message.time,
        "sender": message.sender,
        "msgtype": message.msgtype,
        "text": message.text,
        "content": message.content,
        "ai_generated": message.ai_generated,
    }
