"""Ids of outbound messages: opaque to callers, and the way to a message's row.

An id is the message's position in its conversation (when it was accepted, and 12 random digits)
followed by the buyer's OpenID in base64url. The merchant is not part of it: callers name the
merchant in the path, so that an id leads to nothing of another merchant's.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import NamedTuple

_UNIQUE = 12
POSITION_LENGTH = 13 + 1 + _UNIQUE

MESSAGE_ID = rf"[0-9]{{13}}s[0-9a-f]{{{_UNIQUE}}}[A-Za-z0-9_-]{{2,172}}"
_MESSAGE_ID = re.compile(MESSAGE_ID)


class MessageKey(NamedTuple):
    """Where a message stands: whose conversation it is part of, and its position there."""

    openid: str
    position: str

    @property
    def accepted_at(self) -> int:
        return int(self.position[:13])


def new_message_id(openid: str, accepted_at: int, unique: str | None = None) -> str:
    """Return the id of a message accepted at `accepted_at` (epoch milliseconds).

    `unique` distinguishes messages of one conversation and millisecond: at least 12 hexadecimal
    digits, random ones by default.
    """
    digits = (unique or uuid.uuid4().hex)[:_UNIQUE]
    return message_id_at(openid, f"{accepted_at:013d}s{digits}")


def message_id_at(openid: str, position: str) -> str:
    """Return the id of the message at `position`."""
    encoded = base64.urlsafe_b64encode(openid.encode("utf-8", "surrogatepass"))
    return position + encoded.decode().rstrip("=")


def log_id(message_id: str) -> str:
    """Return the beginning of an id, which names the message and not the buyer: for logs."""
    return message_id[:POSITION_LENGTH]


def message_key(message_id: str) -> MessageKey | None:
    """Return where `message_id` leads to, or None for any other text."""
    if not _MESSAGE_ID.fullmatch(message_id):
        return None
    position, encoded = message_id[:POSITION_LENGTH], message_id[POSITION_LENGTH:]
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        return MessageKey(decoded.decode("utf-8", "surrogatepass"), position)
    except (binascii.Error, ValueError):
        return None
