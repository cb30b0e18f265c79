"""From the fields of a verified push to a typed value (`reference/wechat.md` 7.3 and 7.4)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wechat_kf.wechat.crypto import BodyFormat
from wechat_kf.wechat.push_body import BodyError

MAIN_ACCOUNT: Final = "0"
EVENT: Final = "event"
MAX_CREATED_AT: Final = 2**40
MAX_KIND_LENGTH: Final = 128

# Used in keys of queues and tables, hence the narrow alphabets.
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_@.-]{1,128}")
_BUSINESS_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,13}")
_BUSINESS_ID_DIGITS: Final = 20

_COMMON: Final = frozenset(
    {"ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "MsgID", "BusinessId"}
)
_CONTENT_NAMES: Final[dict[str, dict[str, str]]] = {
    "text": {"Content": "content"},
    "image": {"MediaId": "media_id", "PicUrl": "picture_url"},
    "miniprogrampage": {
        "Title": "title",
        "AppId": "app_id",
        "PagePath": "page_path",
        "ThumbUrl": "thumb_url",
        "ThumbMediaId": "thumb_media_id",
    },
}
_EVENT_NAMES: Final[dict[str, dict[str, str]]] = {
    "user_enter_tempsession": {"SessionFrom": "session_from"},
}


@dataclass(frozen=True, slots=True)
class Push:
    """One message or event that WeChat pushed.

    account      `ToUserName`: original id of the Mini Program
    openid       `FromUserName`: the customer
    business_id  the sub-merchant; "0" is the main account
    created_at   WeChat's time, in seconds
    kind         `MsgType`; `event` is the event's name where the kind is "event"
    message_id   text, since it exceeds 2^53; None on events
    content      of a known kind its parts under our names (and what else came under "extra");
                 of an unknown one everything, untouched, under "fields"
    """

    account: str
    openid: str
    business_id: str
    created_at: int
    kind: str
    event: str | None
    message_id: str | None
    content: Mapping[str, Any]
    format: BodyFormat

    @property
    def known(self) -> bool:
        """Whether `content` has our names rather than WeChat's raw fields."""
        return _names_of(self.kind, self.event) is not None

    @property
    def deduplication_key(self) -> str:
        """The same 64 hex characters for every repeat of this push.

        A MsgId alone is not unique over customers, and events have none.
        """
        if self.message_id is not None:
            parts = (self.account, self.openid, self.message_id)
        else:
            event = self.event or ""
            parts = (self.account, self.openid, str(self.created_at), event, self.business_id)
        return hashlib.sha256("|".join(parts).encode()).hexdigest()


def push_of(fields: Mapping[str, Any], format: BodyFormat) -> Push:  # noqa: A002
    """Return the push that `fields` describe.

    Raises BodyError when a field that is needed to route the push is missing or impossible.
    """
    kind = _kind(fields.get("MsgType"))
    event = _event(fields.get("Event")) if kind == EVENT else None
    return Push(
        account=_account(fields.get("ToUserName")),
        openid=_account(fields.get("FromUserName")),
        business_id=_business_id(fields.get("BusinessId")),
        created_at=_created_at(fields.get("CreateTime")),
        kind=kind,
        event=event,
        message_id=_message_id(fields),
        content=_content(fields, kind, event),
        format=format,
    )


def _text(value: object) -> str:
    """Texts and integers as text, nothing as "". Floats have lost digits: they are refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BodyError("neither text nor integer")


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value).strip()
    if pattern.fullmatch(text):
        return text
    raise BodyError("field missing or impossible")


def _account(value: object) -> str:
    if isinstance(value, str):
        return _matching(_ACCOUNT, value)
    raise BodyError("account missing")


def _kind(value: object) -> str:
    if isinstance(value, str) and 0 < len(kind := value.strip()) <= MAX_KIND_LENGTH:
        return kind
    raise BodyError("MsgType missing or too long")


def _event(value: object) -> str | None:
    return None if value is None or value == "" else _kind(value)


def _created_at(value: object) -> int:
    seconds = int(_matching(_SECONDS, value))
    if seconds < MAX_CREATED_AT:
        return seconds
    raise BodyError("CreateTime impossible")


def _business_id(value: object) -> str:
    # Absent, empty and 0 are not explained anywhere: the main account, never a dropped push.
    text = _text(value).strip()
    if not text:
        return MAIN_ACCOUNT
    if not (text.isascii() and text.isdigit()):
        return _matching(_BUSINESS_ID, text)
    digits = text.lstrip("0") or MAIN_ACCOUNT
    if len(digits) <= _BUSINESS_ID_DIGITS:
        return digits
    raise BodyError("BusinessId impossible")


def _message_id(fields: Mapping[str, Any]) -> str | None:
    value = fields.get("MsgId", fields.get("MsgID"))
    # 0 is no id: taken for one, it would make all such pushes of a customer duplicates.
    return None if _text(value).strip() in ("", "0") else _matching(_MESSAGE_ID, value)


def _names_of(kind: str, event: str | None) -> dict[str, str] | None:
    return _EVENT_NAMES.get(event or "") if kind == EVENT else _CONTENT_NAMES.get(kind)


def _content(fields: Mapping[str, Any], kind: str, event: str | None) -> dict[str, Any]:
    names = _names_of(kind, event)
    others = {
        name: value
        for name, value in fields.items()
        if name not in _COMMON and not (name == "Event" and event)
    }
    if names is None:
        return {"fields": others}
    content: dict[str, Any] = {
        ours: _text(others.pop(theirs, None)) for theirs, ours in names.items()
    }
    if others:
        content["extra"] = others
    return content
