"""What the FIFO queues have in common: ids that SQS takes, and batches that it takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from wechat_kf.adapters.aws.client_errors import as_unavailable
from wechat_kf.app_errors import UnavailableError

_SAFE_ID = re.compile(r"[!-~]{1,128}")
"""What SQS takes as a group or deduplication id: printable ASCII without blanks."""

_BATCH_COUNT = 10
_BATCH_BYTES = 256 * 1024
"""SQS's oldest limit for one call; newer regions take more, none takes less."""

_BATCH_TRIES = 3


def safe_id(text: str) -> str:
    """`text` itself if SQS takes it as a group or deduplication id, else its digest."""
    return text if _SAFE_ID.fullmatch(text) else digest(text)


def digest(text: str) -> str:
    """SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def send(client: Any, queue_url: str, entry: dict[str, str]) -> None:
    """Send one entry. Raise `UnavailableError`."""
    with as_unavailable("SQS"):
        client.send_message(QueueUrl=queue_url, **entry)


def send_all(client: Any, queue_url: str, entries: Iterable[dict[str, str]]) -> None:
    """Send entries in batches. Raise `UnavailableError` when some are refused again and again."""
    for batch in batches(entries):
        left = {str(number): {"Id": str(number), **entry} for number, entry in enumerate(batch)}
        for _ in range(_BATCH_TRIES):
            with as_unavailable("SQS"):
                answer = client.send_message_batch(QueueUrl=queue_url, Entries=list(left.values()))
            left = {failed["Id"]: left[failed["Id"]] for failed in answer.get("Failed", ())}
            if not left:
                break
        else:
            raise UnavailableError(f"SQS refused {len(left)} of {len(batch)} messages")


def batches(entries: Iterable[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Divide entries into batches that one request may carry."""
    batch: list[dict[str, str]] = []
    room = _BATCH_BYTES
    for entry in entries:
        size = len(entry["MessageBody"].encode())
        if batch and (len(batch) == _BATCH_COUNT or size > room):
            yield batch
            batch, room = [], _BATCH_BYTES
        batch.append(entry)
        room -= size
    if batch:
        yield batch
