"""Messages as plain data, the way an HTTP API receives them and a table keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.messages import Image, Link, Menu, MenuItem, Message, MiniProgramPage, Text


def message_from(content: Mapping[str, Any]) -> Message:
    """Build the message that `content` describes.

    Raises:
        InvalidInputError: a field breaks one of WeChat's rules, or the type is unknown; names the
            field as `content` does.
    """
    build = _BUILDERS.get(content.get("type", ""))
    if build is None:
        raise InvalidInputError("type", f"must be one of {', '.join(_BUILDERS)}")
    return build(content)


def _text(content: Mapping[str, Any]) -> Text:
    with _naming({"content": "text"}):
        return Text(content["text"])


def _menu(content: Mapping[str, Any]) -> Menu:
    items = []
    for index, item in enumerate(content["items"]):
        with _naming({"item_id": f"items.{index}.id", "content": f"items.{index}.content"}):
            items.append(MenuItem(item["id"], item["content"]))
    with _naming({"head_content": "head", "tail_content": "tail"}):
        return Menu(
            items=tuple(items),
            head_content=content.get("head", ""),
            tail_content=content.get("tail", ""),
        )


@contextmanager
def _naming(names: Mapping[str, str]) -> Iterator[None]:
    """Let an error name its field as the content does."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(names.get(error.field, error.field), error.rule) from None


_BUILDERS: dict[str, Callable[[Mapping[str, Any]], Message]] = {
    "text": _text,
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
    "menu": _menu,
}
