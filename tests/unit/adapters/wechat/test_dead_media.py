"""What WeChat says of a media id is believed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.fakes import FakeClock, InMemoryMedia
from wechat_kf.adapters.wechat.dead_media import LIFE_MS, DeadMediaSender
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.media_library import MediaLibrary, StoredMedia
from wechat_kf.domain.messages.message import (
    Failure,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Unknown,
)

REFUSED = NotSent(Failure("media_id_not_valid", "expired", 40007, "a-b-c"))


@dataclass
class Sender:
    outcome: Outcome

    def send(self, message: OutboundMessage) -> Outcome:
        return self.outcome


def send(outcome: Outcome, content: dict[str, str], cache: InMemoryMedia) -> Outcome:
    message = OutboundMessage("42", "buyer", content)
    return DeadMediaSender(Sender(outcome), cache, FakeClock()).send(message)


@pytest.mark.parametrize("name", ["media_id", "thumb_media_id"])
def test_a_refused_media_id_is_forgotten_for_as_long_as_it_could_live(name: str) -> None:
    cache = InMemoryMedia()
    assert send(REFUSED, {"type": "image", name: "dead"}, cache) is REFUSED
    assert cache.forgotten == {"dead": FakeClock().now + LIFE_MS}


@pytest.mark.parametrize(
    "outcome",
    [
        Sent(),
        Unknown(Failure("read_timeout", "no answer")),
        NotSent(Failure("window_closed", "closed", 45015)),
    ],
)
def test_any_other_outcome_forgets_nothing(outcome: Outcome) -> None:
    cache = InMemoryMedia()
    assert send(outcome, {"type": "image", "media_id": "alive"}, cache) is outcome
    assert cache.forgotten == {}


def test_the_outcome_is_kept_when_the_table_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = InMemoryMedia()

    def away(media_id: str, until: int) -> None:
        raise UnavailableError("DynamoDB did not answer")

    monkeypatch.setattr(cache, "forget", away)
    assert send(REFUSED, {"media_id": "dead"}, cache) is REFUSED


def test_the_next_upload_of_the_image_is_a_new_one() -> None:
    cache, clock = InMemoryMedia(), FakeClock()

    class Account:
        number = 0

        def upload(self, image: bytes) -> StoredMedia:
            self.number += 1
            return StoredMedia(f"media-{self.number}", clock() + LIFE_MS)

    library = MediaLibrary(cache, Account(), clock)
    assert library.upload(b"image") == (StoredMedia("media-1", clock() + LIFE_MS), True)
    send(REFUSED, {"media_id": "media-1"}, cache)
    assert library.upload(b"image") == (StoredMedia("media-2", clock() + LIFE_MS), True)
    assert library.upload(b"image")[1] is False
