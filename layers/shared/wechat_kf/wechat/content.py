"""Messages as plain data, the way an HTTP API receives them and a table keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.messages import Image, Link, Menu, MenuItem, Message, MiniProgramPage, Text

_FIELD_NAMES = {"content": "text", "head_content": "head", "tail_content": "tail", "item_id": "id"}


def message_from(content: Mapping[str, Any]) -> Message:
    """Build the message that `content` describes.

    Raises:
        InvalidInputError: a field breaks one of WeChat's rules, or the type is unknown; names the
            field as `content` does.
    """
    build = _BUILDERS.get(content.get("type", ""))
    if build is None:
        raise InvalidInputError("type", f"must be one of {', '.join(_BUILDERS)}")
    try:
        return build(content)
    except InvalidInputError as error:
        field = _FIELD_NAMES.get(error.field, error.field)
        raise InvalidInputError(field, error.rule) from None


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "text": lambda content: Text(content["text"]),
    "image": lambda content: Image(content["media_id"]),
    "link": lambda content: Link(
        title=content["title"],
        description=content["description"],
        url=content["url"],
        thumb_url=content["thumb_url"],
    ),
    "mini_program_page": lambda content: MiniProgramPage(
        title=content["title"],
        page_path=content["page_path"],
        thumb_media_id=content["thumb_media_id"],
        app_id=content.get("app_id"),
    ),
    "menu": lambda content: Menu(
        items=tuple(MenuItem(item["id"], item["content"]) for item in content["items"]),
        head_content=content.get("head", ""),
        tail_content=content.get("tail", ""),
    ),
}
