"""Messages as WeChat wants them, and the rules that are checked before a call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat_kf.wechat.errors import InvalidInputError
from wechat_kf.wechat.messages import (
    Image,
    Link,
    Menu,
    MenuItem,
    Message,
    MiniProgramPage,
    Text,
    longer_than_advised,
    split_text,
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


def test_long_titles_are_pointed_out_and_not_refused() -> None:
    link = Link("题" * 65, "说" * 129, "https://a.example", "https://a.example/1.png")

    assert longer_than_advised(link) == ("title", "description")
    assert longer_than_advised(Text("t" * 1000)) == ()


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


# split_text


SENDABLE = st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n\t")


@given(st.text(alphabet=SENDABLE), st.integers(4, 40))
def test_parts_fit_and_join_to_the_text(text: str, limit: int) -> None:
    parts = split_text(text, limit)

    assert "".join(parts) == text
    assert all(0 < len(part.encode()) <= limit for part in parts)


@given(
    st.lists(st.sampled_from(["e\u0301", "👍🏽", FAMILY, "❤\ufe0f", "微", "a", " \u0301"])),
    st.integers(20, 60),
)
def test_clusters_stay_whole(clusters: list[str], limit: int) -> None:
    starts = {""}
    whole = ""
    for cluster in clusters:
        whole += cluster
        starts.add(whole)

    done = ""
    for part in split_text(whole, limit):
        done += part
        assert done in starts


def test_short_text_stays_whole() -> None:
    assert split_text("您好") == ["您好"]
    assert split_text("") == []


def test_parts_are_as_long_as_allowed_where_there_is_no_blank() -> None:
    assert split_text("微" * 1000) == ["微" * 682, "微" * 318]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("aaa bb cc\ndd e", ["aaa bb cc\n", "dd e"]),
        ("aaaaaaaaa bbb", ["aaaaaaaaa ", "bbb"]),
        ("aaaaaaaaa\n b cc", ["aaaaaaaaa\n", " b cc"]),
        ("a bbbbbbbbbbbbb", ["a bbbbbbbbbb", "bbb"]),
    ],
    ids=["line break", "space", "line break before space", "blank too early"],
)
def test_a_cut_prefers_a_blank_near_the_end(text: str, parts: list[str]) -> None:
    assert split_text(text, 12) == parts


def test_a_cluster_longer_than_the_limit_is_cut_between_characters() -> None:
    assert split_text(FAMILY, 8) == ["👨\u200d", "👩\u200d", "👧"]


@pytest.mark.parametrize(("text", "limit"), [("abc", 3), ("\ud800", 2048)])
def test_splitting_refuses_what_cannot_work(text: str, limit: int) -> None:
    with pytest.raises(InvalidInputError):
        split_text(text, limit)


@pytest.mark.parametrize("character", ["\x00", "\x01", "\x0b", "\x1b", "\x1f"])
def test_control_characters_that_json_would_escape_are_refused(character: str) -> None:
    with pytest.raises(InvalidInputError, match="control characters") as raised:
        Text(f"a{character}b")
    assert raised.value.field == "content"


def test_line_breaks_and_tabs_are_kept() -> None:
    assert Text("a\n\tb\r\n").content == "a\n\tb\r\n"
