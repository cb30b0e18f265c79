"""What was said in a conversation, as an agent's screen shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from wechat_kf.domain.messages.message import Status


class Direction(StrEnum):
    """Seen from us: from the buyer, or to the buyer."""

    RECEIVED = "received"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class TranscriptEntry:
    """One message of either direction.

    `entry_id` is the event's id of a received message and the message id of one of ours; `at_ms` is
    WeChat's CreateTime or when we accepted it. `content` is empty where it is not kept. `status` is
    None for received ones.
    """

    entry_id: str
    direction: Direction
    at_ms: int
    content: Mapping[str, Any]
    status: Status | None = None
