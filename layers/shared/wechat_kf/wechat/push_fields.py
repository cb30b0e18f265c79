"""Turn the fields of a verified push into a typed value (docs/wechat-api.md, section 7)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wechat_kf.wechat import MAIN_ACCOUNT
from wechat_kf.wechat.crypto import BodyFormat, Seal
from wechat_kf.wechat.push_body import BodyError

EVENT: Final = "event"
MAX_KIND_LENGTH: Final = 128
MAX_ID_DIGITS: Final = 20  # of 64 bits

# These become parts of keys in queues and tables, hence the narrow alphabets.
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_@.-]{1,128}")
_BUSINESS_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,10}")  # to the year 2286

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
_EVENT_NAMES: Final[dict[str | None, dict[str, str]]] = {
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
    seal         what an answer must be sealed with; None when the push came plain
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
    seal: Seal | None = field(default=None, repr=False, compare=False)

    @property
    def known(self) -> bool:
        """Whether `content` has our names rather than WeChat's raw fields."""
        return _names_of(self.kind, self.event) is not None

    @property
    def deduplication_key(self) -> str:
        """The same 64 hex characters for every repeat of this push, and for no other push.

        A MsgId names a message of one customer. Events have none, and two of one second may differ
        in any field: system accounts report many users, media checks differ in `trace_id` alone.
        """
        what = self.message_id
        if what is None or self.kind == EVENT:
            names = (self.created_at, self.kind, self.event, self.business_id, self.message_id)
            what = json.dumps([*names, _canonical(self.content)], sort_keys=True)
        return hashlib.sha256(f"{self.account}|{self.openid}|{what}".encode()).hexdigest()


def _canonical(value: object) -> object:
    """Return the one form of what XML and JSON write differently.

    All scalars are texts, line ends are line feeds, one element is a list of one, nothing is "".
    """
    if isinstance(value, Mapping) and value:
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list) and value:
        return _canonical(value[0]) if len(value) == 1 else [_canonical(item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value).replace("\r\n", "\n").replace("\r", "\n")
    return ""


def read_push(fields: dict[str, Any], format: BodyFormat, seal: Seal | None) -> Push:  # noqa: A002
    """Return the push that `fields` describe; they are used up.

    Raises BodyError when a field that is needed to route the push is missing or impossible.
    """
    take = fields.pop
    kind = _kind(take("MsgType", None))
    event = _event(take("Event", None)) if kind == EVENT else None
    return Push(
        account=_match(_ACCOUNT, take("ToUserName", None)),
        openid=_match(_ACCOUNT, take("FromUserName", None)),
        business_id=_business_id(take("BusinessId", None)),
        created_at=_created_at(take("CreateTime", None)),
        kind=kind,
        event=event,
        message_id=_message_id(take("MsgId", None)) or _message_id(take("MsgID", None)),
        content=_content(fields, _names_of(kind, event)),
        format=format,
        seal=seal,
    )


def _content(others: dict[str, Any], names: dict[str, str] | None) -> dict[str, Any]:
    if names is None:
        return {"fields": others}
    content: dict[str, Any] = {ours: _text(others.pop(name, "")) for name, ours in names.items()}
    if others:
        content["extra"] = others
    return content


def _names_of(kind: str, event: str | None) -> dict[str, str] | None:
    return _EVENT_NAMES.get(event) if kind == EVENT else _CONTENT_NAMES.get(kind)


def _text(value: object) -> str:
    """Texts and integers as text, nothing as "". Floats have lost digits: they are refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BodyError("neither text nor integer")


def _match(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value).strip()
    if pattern.fullmatch(text):
        return text
    raise BodyError("field missing or impossible")


def _kind(value: object) -> str:
    # Some of WeChat's pages spell it "Event".
    kind = _name(value)
    return lower if (lower := kind.lower()) == EVENT or lower in _CONTENT_NAMES else kind


def _name(value: object) -> str:
    if isinstance(value, str) and 0 < len(name := value.strip()) <= MAX_KIND_LENGTH:
        return name
    raise BodyError("MsgType or Event missing or too long")


def _event(value: object) -> str | None:
    return None if value is None or value == "" else _name(value)


def _created_at(value: object) -> int:
    return int(_match(_SECONDS, value))


def _business_id(value: object) -> str:
    # Absent, empty and 0 are not explained anywhere: the main account, never a dropped push.
    text = _text(value).strip()
    if not text:
        return MAIN_ACCOUNT
    if not (text.isascii() and text.isdigit()):
        return _match(_BUSINESS_ID, text)
    digits = text.lstrip("0") or MAIN_ACCOUNT
    if len(digits) <= MAX_ID_DIGITS:
        return digits
    raise BodyError("BusinessId impossible")


def _message_id(value: object) -> str | None:
    # 0 is no id: taken for one, it would make all such pushes of a customer duplicates.
    text = _text(value).strip()
    return None if text in ("", "0") else _match(_MESSAGE_ID, text)
