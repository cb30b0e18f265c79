"""An image is uploaded once for as long as its media id is good enough for a message that waits."""

from __future__ import annotations

import pytest

from tests.fakes import FakeClock, InMemoryMedia
from tests.messages_app import FakeAccount
from wechat_kf.domain.clock import DAY, HOUR
from wechat_kf.domain.media_library import MediaLibrary


def library_of(clock: FakeClock) -> MediaLibrary:
    return MediaLibrary(InMemoryMedia(), FakeAccount(clock), clock)


@pytest.mark.parametrize(
    ("later", "uploaded"),
    [
        (0, False),
        (3 * DAY - 12 * HOUR - 1, False),
        (3 * DAY - 12 * HOUR, True),
        (3 * DAY, True),
    ],
)
def test_a_media_id_is_not_returned_in_its_last_twelve_hours(later: int, uploaded: bool) -> None:
    clock = FakeClock()
    library = library_of(clock)
    first, new = library.upload(b"image")
    assert new
    clock.advance(later)
    again, new = library.upload(b"image")
    assert new is uploaded
    assert (again == first) is not uploaded


def test_what_was_uploaded_last_counts() -> None:
    library = library_of(FakeClock())
    library.upload(b"image")
    fresh, new = library.upload(b"image", fresh=True)
    assert new
    assert library.upload(b"image") == (fresh, False)
