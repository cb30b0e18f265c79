"""Sub-merchants and media: docs/wechat-api.md, sections 3 and 10."""

from typing import Any

import pytest
import requests

from tests.unit.simulator.simulator_loopback import Simulator
from wechat_kf_local.png import plain_png

REGISTER = "/cgi-bin/business/register"
THREE_DAYS = 3 * 24 * 3600


def register(simulator: Simulator, **changes: Any) -> dict[str, Any]:
    document = {"account_name": "shop_0001", "nickname": "苹果旗舰店"} | changes
    if "icon_media_id" not in document:
        document["icon_media_id"] = simulator.upload()["media_id"]
    return simulator.api(REGISTER, document)


def test_registering_answers_a_number(simulator: Simulator) -> None:
    assert register(simulator) == {"errcode": 0, "errmsg": "", "business_id": 1}
    assert register(simulator, account_name="shop_0002")["business_id"] == 2


def test_an_account_name_can_be_used_once(simulator: Simulator) -> None:
    register(simulator)
    assert register(simulator, nickname="梨子旗舰店")["errcode"] == 45070
    assert register(simulator, account_name="SHOP_0001")["errcode"] == 0


@pytest.mark.parametrize(
    "name", ["", "apple", "a" * 31, "shop-0001", "苹果旗舰店铺", "shop_0001\n"]
)
def test_account_names_have_six_to_thirty_letters_digits_and_underscores(
    simulator: Simulator, name: str
) -> None:
    assert register(simulator, account_name=name)["errcode"] == 45091


@pytest.mark.parametrize("name", ["shop01", "A" * 30, "______"])
def test_account_names_at_the_limits_are_taken(simulator: Simulator, name: str) -> None:
    assert register(simulator, account_name=name)["errcode"] == 0


@pytest.mark.parametrize(
    "nickname", ["", "苹", "abc", "苹" * 16, "a" * 31, "苹果 店", "苹果!!", "苹果🍎"]
)
def test_nicknames_outside_the_rule_are_invalid(simulator: Simulator, nickname: str) -> None:
    assert register(simulator, nickname=nickname)["errcode"] == 45078


@pytest.mark.parametrize("nickname", ["苹果", "abcd", "苹" * 15, "a" * 30, "苹a1果"])
def test_nicknames_count_chinese_twice(simulator: Simulator, nickname: str) -> None:
    assert register(simulator, nickname=nickname)["errcode"] == 0


def test_forbidden_words_can_be_set(simulator: Simulator) -> None:
    assert register(simulator, nickname="微信旗舰店")["errcode"] == 45079
    simulator.configure(forbidden_words=["Gold"])
    assert register(simulator, nickname="微信旗舰店")["errcode"] == 0
    assert register(simulator, account_name="shop_2", nickname="goldshop")["errcode"] == 45079


def test_the_number_of_sub_merchants_is_limited(simulator: Simulator) -> None:
    simulator.configure(max_sub_merchants=1)
    assert register(simulator)["errcode"] == 0
    assert register(simulator, account_name="shop_0002")["errcode"] == 45077


def test_an_icon_must_exist_and_be_an_image(simulator: Simulator) -> None:
    voice = simulator.upload(b"voice", kind="voice")["media_id"]
    assert register(simulator, icon_media_id="nothing")["errcode"] == 40007
    assert register(simulator, icon_media_id="")["errcode"] == 40007
    assert register(simulator, icon_media_id=voice)["errcode"] == 40004


def test_an_icon_must_not_have_expired(simulator: Simulator) -> None:
    icon = simulator.upload()["media_id"]
    simulator.advance(THREE_DAYS)
    simulator.token = ""
    assert register(simulator, icon_media_id=icon)["errcode"] == 40007


def test_fields_of_a_wrong_type_are_refused(simulator: Simulator) -> None:
    assert register(simulator, nickname=7)["errcode"] == 47001
    assert register(simulator, transfer_to_commkf="yes")["errcode"] == 47001
    assert register(simulator, transfer_to_commkf=True)["errcode"] == 0


def test_get_finds_by_either_key(simulator: Simulator) -> None:
    register(simulator)
    info = simulator.api("/cgi-bin/business/get", {"business_id": 1})["business_info"]
    assert (info["business_id"], info["account_name"]) == (1, "shop_0001")
    assert info["nickname"] == "苹果旗舰店"
    assert requests.get(info["icon_url"], timeout=5).content == plain_png()
    for document in ({"business_id": "1"}, {"account_name": "shop_0001"}):
        assert simulator.api("/cgi-bin/business/get", document)["business_info"] == info


def test_get_wants_exactly_one_key(simulator: Simulator) -> None:
    register(simulator)
    both = {"business_id": 1, "account_name": "shop_0001"}
    assert simulator.api("/cgi-bin/business/get", both)["errcode"] == 40035
    assert simulator.api("/cgi-bin/business/get", {})["errcode"] == 40035


@pytest.mark.parametrize("document", [{"business_id": 7}, {"account_name": "Shop_0001"}])
def test_get_does_not_find_what_is_not_there(
    simulator: Simulator, document: dict[str, Any]
) -> None:
    register(simulator)
    assert simulator.api("/cgi-bin/business/get", document)["errcode"] == 45071


def test_update_changes_what_is_not_empty(simulator: Simulator) -> None:
    register(simulator)
    before = simulator.api("/cgi-bin/business/get", {"business_id": 1})["business_info"]
    change = {"business_id": 1, "nickname": "梨子旗舰店", "icon_media_id": ""}
    assert simulator.api("/cgi-bin/business/update", change) == {"errcode": 0, "errmsg": "ok"}
    after = simulator.api("/cgi-bin/business/get", {"business_id": 1})["business_info"]
    assert after == before | {"nickname": "梨子旗舰店"}
    icon = {"business_id": "1", "icon_media_id": simulator.upload()["media_id"]}
    assert simulator.api("/cgi-bin/business/update", icon)["errcode"] == 0
    changed = simulator.api("/cgi-bin/business/get", {"business_id": 1})["business_info"]
    assert changed["icon_url"] != after["icon_url"]
    assert changed["nickname"] == "梨子旗舰店"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"business_id": 9, "nickname": "梨子旗舰店"}, 45071),
        ({"nickname": "梨子旗舰店"}, 45071),
        ({"business_id": 1, "nickname": "梨"}, 45078),
        ({"business_id": 1, "nickname": "腾讯旗舰店"}, 45079),
        ({"business_id": 1, "icon_media_id": "nothing"}, 40007),
        ({"business_id": 1, "nickname": None}, 47001),
    ],
)
def test_update_checks_like_register(
    simulator: Simulator, change: dict[str, Any], expected: int
) -> None:
    register(simulator)
    assert simulator.api("/cgi-bin/business/update", change)["errcode"] == expected


def test_lists_come_in_pages_without_errcode_or_total(simulator: Simulator) -> None:
    for number in range(5):
        simulator.merchant(f"shop_{number:04}")
    first = simulator.api("/cgi-bin/business/list", {"offset": 0, "count": 3})
    assert first.keys() == {"list"}
    assert [item["business_id"] for item in first["list"]] == [1, 2, 3]
    rest = simulator.api("/cgi-bin/business/list", {"offset": 3, "count": 3})["list"]
    assert [item["business_id"] for item in rest] == [4, 5]
    assert simulator.api("/cgi-bin/business/list", {"offset": 9, "count": 3}) == {"list": []}


@pytest.mark.parametrize("page", [(0, 0), (0, 201), (-1, 1), (0, "1")])
def test_pages_have_one_to_two_hundred_items(simulator: Simulator, page: tuple[Any, Any]) -> None:
    document = {"offset": page[0], "count": page[1]}
    assert simulator.api("/cgi-bin/business/list", document)["errcode"] == 40035


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (plain_png(), "image/png"),
        (b"\xff\xd8\xff\xe0 jpeg", "image/jpeg"),
        (b"GIF89a gif", "image/gif"),
    ],
)
def test_images_come_back_as_they_went(
    simulator: Simulator, content: bytes, content_type: str
) -> None:
    uploaded = simulator.upload(content)
    assert (uploaded["type"], uploaded["created_at"]) == ("image", 1_800_000_000)
    answer = simulator.call("/cgi-bin/media/get", media_id=uploaded["media_id"])
    assert answer.content == content
    assert answer.headers["Content-Type"] == content_type
    assert "attachment; filename=" in answer.headers["Content-disposition"]


def test_media_lives_for_three_days(simulator: Simulator) -> None:
    media_id = simulator.upload()["media_id"]
    simulator.advance(THREE_DAYS - 1)
    simulator.token = ""
    assert simulator.call("/cgi-bin/media/get", media_id=media_id).content == plain_png()
    simulator.advance(1)
    answer = simulator.call("/cgi-bin/media/get", media_id=media_id)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain")
    assert answer.json()["errcode"] == 40007


def test_a_video_is_answered_as_a_link(simulator: Simulator) -> None:
    media_id = simulator.upload(b"video", kind="video")["media_id"]
    assert media_id in simulator.api("/cgi-bin/media/get", media_id=media_id)["video_url"]


def test_media_get_needs_an_id(simulator: Simulator) -> None:
    assert simulator.api("/cgi-bin/media/get")["errcode"] == 41006


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"no picture", "image", 40137),
        (b"", "image", 40006),
        (plain_png(), "sticker", 40004),
        (plain_png() + b"\0" * (2 * 1024 * 1024), "image", 40009),
    ],
    ids=["format", "empty", "type", "size"],
)
def test_uploads_are_checked_by_content(
    simulator: Simulator, content: bytes, kind: str, expected: int
) -> None:
    assert simulator.upload(content, kind)["errcode"] == expected


def test_an_upload_needs_a_part_named_media_with_a_plain_file_name(simulator: Simulator) -> None:
    query = {"access_token": simulator.stable()["access_token"], "type": "image"}
    head = b"--b\r\nContent-Disposition: form-data; "
    tail = b"\r\nContent-Type: image/png\r\n\r\n" + plain_png() + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for disposition, expected in (
        (b'name="media"; filename="a.png"', None),
        (b'name="file"; filename="a.png"', 41005),
        (b'name="media"', 41005),
        (b"name=\"media\"; filename*=utf-8''%E8%8B%B9.png", 41005),
    ):
        answer = simulator.raw(
            "POST",
            "/cgi-bin/media/upload",
            params=query,
            data=head + disposition + tail,
            headers=headers,
        )
        assert answer.json().get("errcode") == expected, disposition
