"""Images out, files in."""

from email import message_from_bytes
from email.message import Message

import pytest

from tests.unit.wechat.client_loopback import (
    LoopbackWeChat,
    Received,
    Reply,
    error_reply,
    json_reply,
)
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.errors import InvalidInputError, MalformedReplyError, WeChatApiError
from wechat_kf.wechat.media import MAX_IMAGE_BYTES, DownloadedMedia, UploadedMedia

UPLOAD = "/cgi-bin/media/upload"
DOWNLOAD = "/cgi-bin/media/get"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256))
GIF = b"GIF89a" + bytes(range(256))


def only_part(request: Received) -> tuple[object, str | None, str, object]:
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + request.body).get_payload()
    assert isinstance(parts, list)
    (part,) = parts
    assert isinstance(part, Message)
    name = part.get_param("name", header="Content-Disposition")
    return name, part.get_filename(), part.get_content_type(), part.get_payload(decode=True)


@pytest.mark.parametrize(
    ("data", "kind"),
    [(PNG, "png"), (JPEG, "jpeg"), (GIF, "gif"), (b"GIF87a" + bytes(9), "gif")],
    ids=["png", "jpeg", "gif89a", "gif87a"],
)
def test_upload_goes_out_as_one_part_named_media(
    wechat: LoopbackWeChat, client: WeChatClient, data: bytes, kind: str
) -> None:
    client.upload_image(data)

    assert wechat.last.query == {"access_token": "ACCESS-TOKEN-1", "type": "image"}
    assert only_part(wechat.last) == ("media", f"image.{kind}", f"image/{kind}", data)


@pytest.mark.parametrize("created_at", [1760000000, "1760000000"])
def test_upload_says_when_the_media_dies(
    wechat: LoopbackWeChat, client: WeChatClient, created_at: int | str
) -> None:
    reply = {"type": "image", "media_id": "M9", "created_at": created_at}
    wechat.answer(UPLOAD, json_reply(reply, content_type="text/plain"))

    assert client.upload_image(PNG) == UploadedMedia("M9", 1760000000 + 3 * 86400)


@pytest.mark.parametrize(
    ("filename", "sent"),
    [
        ("logo.png", "logo.png"),
        ("logo.jpg", "logo.png"),
        ("logo", "logo.png"),
        ("苹果.png", "image.png"),
        ("苹果 logo (2).png", "logo2.png"),
        ('a"; filename="b.exe', "afilenameb.png"),
        ("a\r\nX-Header: 1.png", "aX-Header1.png"),
        ("x" * 500 + ".png", "x" * 64 + ".png"),
        ("", "image.png"),
    ],
)
def test_file_names_leave_as_plain_ascii_with_the_extension_of_the_content(
    wechat: LoopbackWeChat, client: WeChatClient, filename: str, sent: str
) -> None:
    client.upload_image(PNG, filename)

    assert only_part(wechat.last)[1] == sent
    assert b"filename*" not in wechat.last.body


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", b"RIFF\x00\x00\x00\x00WEBP", b"BM12", PNG[:7]], ids=repr
)
def test_the_format_is_checked_by_content_not_by_name(
    wechat: LoopbackWeChat, client: WeChatClient, data: bytes
) -> None:
    with pytest.raises(InvalidInputError, match="PNG, JPEG or GIF"):
        client.upload_image(data, "logo.png")

    assert wechat.received == []


def test_the_size_is_checked(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    with pytest.raises(InvalidInputError, match="2097152 bytes"):
        client.upload_image(PNG.ljust(MAX_IMAGE_BYTES + 1, b"\0"))
    assert wechat.received == []

    client.upload_image(PNG.ljust(MAX_IMAGE_BYTES, b"\0"))
    assert len(wechat.received) == 1


def test_a_refused_upload(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    wechat.answer(UPLOAD, error_reply(40009))

    with pytest.raises(WeChatApiError) as caught:
        client.upload_image(PNG)

    assert (caught.value.code, caught.value.status) == ("image_too_large", 413)


@pytest.mark.parametrize("document", [{"media_id": "M"}, {"created_at": 1}])
def test_an_incomplete_upload_reply_is_malformed(
    wechat: LoopbackWeChat, client: WeChatClient, document: dict[str, object]
) -> None:
    wechat.answer(UPLOAD, json_reply(document))

    with pytest.raises(MalformedReplyError):
        client.upload_image(PNG)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (b"<svg onload=x>", "application/octet-stream"),
        (b"{not json}", "application/octet-stream"),
    ],
    ids=["png", "jpeg", "gif", "other", "brace"],
)
def test_download_tells_the_type_by_content(
    wechat: LoopbackWeChat, client: WeChatClient, content: bytes, content_type: str
) -> None:
    wechat.answer(DOWNLOAD, Reply(content, content_type="image/svg+xml"))

    assert client.download("M1") == DownloadedMedia(content, content_type)
    assert wechat.last.method == "GET"
    assert wechat.last.query == {"access_token": "ACCESS-TOKEN-1", "media_id": "M1"}


@pytest.mark.parametrize("content_type", ["text/plain", "image/jpeg", "application/json"])
def test_an_error_inside_http_200_is_an_error(
    wechat: LoopbackWeChat, client: WeChatClient, content_type: str
) -> None:
    body = b' {"errcode":40007,"errmsg":"invalid media_id rid: 1-2-3"}'
    wechat.answer(DOWNLOAD, Reply(body, content_type=content_type))

    with pytest.raises(WeChatApiError) as caught:
        client.download("M1")

    assert (caught.value.code, caught.value.rid) == ("media_id_not_valid", "1-2-3")


def test_a_download_with_a_refused_token_is_tried_again(
    wechat: LoopbackWeChat, client: WeChatClient
) -> None:
    wechat.answer(DOWNLOAD, error_reply(40001), Reply(JPEG))

    assert client.download("M1").content == JPEG
    assert wechat.last.query["access_token"] == "ACCESS-TOKEN-2"


@pytest.mark.parametrize(
    "reply",
    [Reply(b""), Reply(b'{"video_url":"http://a"}'), Reply(JPEG, status=404)],
    ids=["empty", "video", "status"],
)
def test_what_is_no_file_is_malformed(
    wechat: LoopbackWeChat, client: WeChatClient, reply: Reply
) -> None:
    wechat.answer(DOWNLOAD, reply)

    with pytest.raises(MalformedReplyError):
        client.download("M1")


def test_download_needs_an_id(wechat: LoopbackWeChat, client: WeChatClient) -> None:
    with pytest.raises(InvalidInputError, match="media_id"):
        client.download("")

    assert wechat.received == []
