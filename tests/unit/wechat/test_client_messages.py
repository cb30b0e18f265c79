"""Messages as WeChat wants them, and the rules that are checked before a call."""

import pytest

from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.messages import (
    Image,
    Link,
    Menu,
    MenuItem,
    Message,
    MiniProgramPage,
    Text,
)

FAMILY = "👨‍👩‍👧"

VALID: list[tuple[Message, dict[str, object]]] = [
    (Text("您好"), {"msgtype": "text", "text": {"content": "您好"}}),
    (Image("M1"), {"msgtype": "image", "image": {"media_id": "M1"}}),
    (
        Link("标题", "说明", "https://a.example/1", "https://a.example/1.png"),
        {
            "msgtype": "link",
            "link": {
                "title": "标题",
                "description": "说明",
                "url": "https://a.example/1",
                "thumb_url": "https://a.example/1.png",
            },
        },
    ),
    (
        MiniProgramPage("标题", "pages/index/index?foo=bar", "M1"),
        {
            "msgtype": "miniprogrampage",
            "miniprogrampage": {
                "title": "标题",
                "pagepath": "pages/index/index?foo=bar",
                "thumb_media_id": "M1",
            },
        },
    ),
    (
        MiniProgramPage("标题", "pages/a", "M1", app_id="wx1"),
        {
            "msgtype": "miniprogrampage",
            "miniprogrampage": {
                "title": "标题",
                "pagepath": "pages/a",
                "thumb_media_id": "M1",
                "appid": "wx1",
            },
        },
    ),
    (
        Menu((MenuItem("1", "满意"), MenuItem("2", "不满意")), "评价", "谢谢"),
        {
            "msgtype": "msgmenu",
            "msgmenu": {
                "head_content": "评价",
                "list": [{"id": "1", "content": "满意"}, {"id": "2", "content": "不满意"}],
                "tail_content": "谢谢",
            },
        },
    ),
]


@pytest.mark.parametrize(("message", "wire"), VALID)
def test_messages_have_wechats_shape(message: Message, wire: dict[str, object]) -> None:
    assert message.to_wire() == wire


@pytest.mark.parametrize("content", ["a" * 2048, "微" * 682 + "ab", "😀" * 512])
def test_text_of_2048_bytes_is_accepted(content: str) -> None:
    assert Text(content).content == content


@pytest.mark.parametrize("content", ["a" * 2049, "微" * 683, "😀" * 512 + "a"])
def test_text_is_limited_in_bytes_not_characters(content: str) -> None:
    with pytest.raises(InvalidInputError, match="2048 bytes") as caught:
        Text(content)

    assert caught.value.field == "content"
    assert content[:5] not in str(caught.value)


def test_empty_text_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="content must not be empty"):
        Text("")


def test_lone_surrogates_are_refused_where_the_message_is_made() -> None:
    with pytest.raises(InvalidInputError, match="Unicode"):
        Text("\ud800")


@pytest.mark.parametrize("missing", range(4))
def test_links_need_all_their_fields(missing: int) -> None:
    fields = ["title", "description", "https://a.example", "https://a.example/1.png"]
    fields[missing] = ""

    with pytest.raises(InvalidInputError, match="must not be empty"):
        Link(*fields)


@pytest.mark.parametrize("missing", range(3))
def test_cards_need_their_fields(missing: int) -> None:
    fields = ["title", "pages/a", "M1"]
    fields[missing] = ""

    with pytest.raises(InvalidInputError, match="must not be empty"):
        MiniProgramPage(*fields)


def test_other_required_fields() -> None:
    with pytest.raises(InvalidInputError, match="media_id"):
        Image("")
    with pytest.raises(InvalidInputError, match="items"):
        Menu(())
    with pytest.raises(InvalidInputError, match="item_id"):
        MenuItem("", "x")


@pytest.mark.parametrize(
    "message",
    [
        Text("秘密"),
        Link("秘密", "秘密", "https://秘密", "https://秘密"),
        MiniProgramPage("秘密", "秘密", "M1"),
        Menu((MenuItem("1", "秘密"),), "秘密", "秘密"),
    ],
)
def test_reprs_show_no_words(message: Message) -> None:
    assert "秘密" not in repr(message)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1b", "\x1f"])
def test_control_characters_that_json_would_escape_are_refused(character: str) -> None:
    with pytest.raises(InvalidInputError, match="control characters") as raised:
        Text(f"a{character}b")
    assert raised.value.field == "content"


def test_line_breaks_and_tabs_are_kept() -> None:
    assert Text("a\n\tb\r\n").content == "a\n\tb\r\n"
