"""Turn a push of WeChat's into an event of ours."""

from __future__ import annotations

from typing import Any

from wechat_kf.domain.clock import SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.wechat.push import Push

_MESSAGE_TYPES = {"text": "text", "image": "image", "miniprogrampage": "mini_program_page"}
_OUR_NAMES = {"content": "text"}
"""A text is `{"type": "text", "text": …}` here as in the send API."""

_ENTERED = "user_enter_tempsession"


def to_event(push: Push, app_id: str) -> Event:
    """Return the event of `push`. A repeated push gives the same event, id included."""
    return Event(
        id=push.deduplication_key,
        type=_event_type(push),
        app_id=app_id,
        business_id=push.business_id,
        openid=push.openid,
        at_ms=push.created_at * SECOND,
        data=_data(push),
    )


def _event_type(push: Push) -> EventType:
    if push.kind in _MESSAGE_TYPES:
        return EventType.MESSAGE_RECEIVED
    if push.event == _ENTERED:
        return EventType.SESSION_ENTERED
    return EventType.PUSH_UNKNOWN


def _data(push: Push) -> dict[str, Any]:
    data: dict[str, Any] = {"business_id": push.business_id, "openid": push.openid}
    if push.message_id is not None:
        data["message_id"] = push.message_id
    if push.kind in _MESSAGE_TYPES:
        data["message"] = {"type": _MESSAGE_TYPES[push.kind], **_content(push)}
    elif push.event == _ENTERED:
        data.update(push.content)
    else:
        data["push"] = {"kind": push.kind, "event": push.event, **push.content}
    return data


def _content(push: Push) -> dict[str, Any]:
    return {_OUR_NAMES.get(name, name): value for name, value in push.content.items()}
