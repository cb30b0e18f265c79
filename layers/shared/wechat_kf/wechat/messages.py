"""What can be sent to a customer.

A message that exists is valid: the constructors check what can be checked here and raise
`InvalidInputError`. Reprs never show a customer's or an agent's words.

Source: docs/wechat-api.md, sections 4.3 to 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wechat_kf.wechat.encoding import encode_utf8
from wechat_kf.wechat.errors import InvalidInputError

MAX_TEXT_BYTES = 2048
"""UTF-8 bytes in one text; found by testers, not documented, and bytes are the safe reading."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text of 1 to 2048 UTF-8 bytes; `<a href=…>` in it becomes a link.

    Escape `<` in text that comes from third parties.
    """

    content: str = field(repr=False)

    def __post_init__(self) -> None:
        _require(self.content, "content")
        size = len(self.content.encode())
        if size > MAX_TEXT_BYTES:
            raise InvalidInputError(
                "content", f"must be at most {MAX_TEXT_BYTES} bytes of UTF-8; found {size}"
            )

    def to_wire(self) -> dict[str, Any]:
        return {"msgtype": "text", "text": {"content": self.content}}


@dataclass(frozen=True, slots=True)
class Image:
    """An image, by the `media_id` of an upload that is younger than 3 days."""

    media_id: str

    def __post_init__(self) -> None:
        _require(self.media_id, "media_id")

    def to_wire(self) -> dict[str, Any]:
        return {"msgtype": "image", "image": {"media_id": self.media_id}}


@dataclass(frozen=True, slots=True)
class Link:
    """A card that opens a web page; `thumb_url` is a JPG or PNG, 640×320 or 80×80 advised.

    WeChat has accepted, and never shown, links to `mp.weixin.qq.com` articles.
    """

    title: str = field(repr=False)
    description: str = field(repr=False)
    url: str = field(repr=False)
    thumb_url: str = field(repr=False)

    def __post_init__(self) -> None:
        _require(self.title, "title")
        _require(self.description, "description")
        _require(self.url, "url")
        _require(self.thumb_url, "thumb_url")

    def to_wire(self) -> dict[str, Any]:
        card = {
            "title": self.title,
            "description": self.description,
            "url": self.url,
            "thumb_url": self.thumb_url,
        }
        return {"msgtype": "link", "link": card}


@dataclass(frozen=True, slots=True)
class MiniProgramPage:
    """A card that opens a page of the Mini Program.

    `page_path` is written as in app.json and may carry a query. `thumb_media_id` is an
    uploaded image, 520×416 advised. `app_id` is filled in by the client when it is `None`.
    """

    title: str = field(repr=False)
    page_path: str = field(repr=False)
    thumb_media_id: str
    app_id: str | None = None

    def __post_init__(self) -> None:
        _require(self.title, "title")
        _require(self.page_path, "page_path")
        _require(self.thumb_media_id, "thumb_media_id")

    def to_wire(self) -> dict[str, Any]:
        card = {
            "title": self.title,
            "pagepath": self.page_path,
            "thumb_media_id": self.thumb_media_id,
        }
        if self.app_id is not None:
            card["appid"] = self.app_id
        return {"msgtype": "miniprogrampage", "miniprogrampage": card}


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One choice of a menu; `item_id` comes back when the customer taps it."""

    item_id: str
    content: str = field(repr=False)

    def __post_init__(self) -> None:
        _require(self.item_id, "item_id")
        _require(self.content, "content")


@dataclass(frozen=True, slots=True)
class Menu:
    """A text with choices. It is not confirmed that Mini Programs may send it."""

    items: tuple[MenuItem, ...]
    head_content: str = field(default="", repr=False)
    tail_content: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.items:
            raise InvalidInputError("items", "must not be empty")
        encode_utf8("head_content", self.head_content)
        encode_utf8("tail_content", self.tail_content)

    def to_wire(self) -> dict[str, Any]:
        menu = {
            "head_content": self.head_content,
            "list": [{"id": item.item_id, "content": item.content} for item in self.items],
            "tail_content": self.tail_content,
        }
        return {"msgtype": "msgmenu", "msgmenu": menu}


Message = Text | Image | Link | MiniProgramPage | Menu


def _require(value: str, name: str) -> None:
    if not value:
        raise InvalidInputError(name, "must not be empty")
    encode_utf8(name, value)
