"""SQS's FIFO queues in memory, by a clock that is handed in, behind boto3's own calls.

Enough of SQS for the layer's producers and its batch consumer: groups in order, nothing more of a
group while a message of it is in flight, five minutes of deduplication, visibility, redrive; and
AWS's limits, as documented, small enough to test with:

- A FIFO queue looks for available groups among its first `scan_window` messages only, in the order
  they were sent; hidden ones count.
  https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/avoid-backlog-with-the-same-message-group-id.html
- At most `most_in_flight` messages are in flight; past that a receive answers nothing.
- `age_seconds` is `ApproximateAgeOfOldestMessage`: it leaves out what was received three times.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.chaos.weather import Weather
from wechat_kf.domain.clock import MINUTE, SECOND, Clock

DEDUPLICATION_MS = 5 * MINUTE
BATCH = 10
RECEIVES_THAT_COUNT_AS_POISON = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """AWS's, unless a test makes them smaller."""

    scan_window: int = 120_000
    most_in_flight: int = 120_000


AWS_LIMITS = Limits()


@dataclass(slots=True)
class Message:
    """One message; `visible_at` counts from its last receive or change of visibility."""

    message_id: str
    body: str
    group_id: str
    sent_at: int
    number: int
    visible_at: int = 0
    receives: int = 0

    def record(self) -> dict[str, Any]:
        """As a Lambda event source hands it over."""
        return {
            "messageId": self.message_id,
            "receiptHandle": self.message_id,
            "body": self.body,
            "attributes": {
                "MessageGroupId": self.group_id,
                "SequenceNumber": f"{self.number:020d}",
                "ApproximateReceiveCount": str(self.receives),
                "SentTimestamp": str(self.sent_at),
            },
        }


@dataclass(slots=True)
class _Group:
    """Messages in order; those in flight are a beginning of it."""

    waiting: deque[Message] = field(default_factory=deque)
    received: dict[str, Message] = field(default_factory=dict)

    def free_at(self) -> int:
        return max((one.visible_at for one in self.received.values()), default=0)


class FifoQueue:
    """One queue. `wake` is called with when something can next be received."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        visibility_seconds: int = 120,
        most_receives: int = 1_000,
        limits: Limits = AWS_LIMITS,
    ) -> None:
        self.url = f"https://sqs.test/{name}.fifo"
        self.poison: list[Message] = []
        self.wake: Callable[[int], None] = lambda _at: None
        self._clock = clock
        self._visibility_ms = visibility_seconds * SECOND
        self._most_receives = most_receives
        self._limits = limits
        self._groups: dict[str, _Group] = {}
        self._messages: dict[str, Message] = {}  # in the order they were sent
        self._seen: dict[str, int] = {}
        self._free: list[tuple[int, int, str]] = []
        self._count = self._offers = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, body: str, group_id: str, deduplication_id: str) -> None:
        now = self._clock()
        if now - self._seen.get(deduplication_id, -DEDUPLICATION_MS) < DEDUPLICATION_MS:
            return
        self._seen[deduplication_id] = now
        self._count += 1
        message = Message(str(self._count), body, group_id, now, self._count)
        self._messages[message.message_id] = message
        group = self._groups.setdefault(group_id, _Group())
        group.waiting.append(message)
        if not group.received and len(group.waiting) == 1:
            self._offer(group_id, now)

    def receive(self) -> list[Message]:
        """Up to ten messages of the groups that have been free the longest."""
        now = self._clock()
        batch: list[Message] = []
        last = self._last_in_window()
        out_of_sight: list[tuple[int, int, str]] = []
        room = min(BATCH, self._room_in_flight())
        while self._free and self._free[0][0] <= now and len(batch) < room:
            offer = heapq.heappop(self._free)
            group = self._groups.get(offer[2])
            if group is None or group.free_at() > now:
                continue
            if group.waiting[0].number > last:
                out_of_sight.append(offer)
                continue
            batch += self._take(group, room - len(batch))
            self._offer_again(offer[2])
        for offer in out_of_sight:
            heapq.heappush(self._free, offer)
        return batch

    def delete(self, message_id: str) -> None:
        message = self._messages.pop(message_id, None)
        if message is None:
            return
        group = self._groups[message.group_id]
        group.received.pop(message_id, None)
        group.waiting = deque(one for one in group.waiting if one.message_id != message_id)
        self._offer_again(message.group_id)

    def hide(self, message_id: str, seconds: int) -> None:
        message = self._messages.get(message_id)
        if message and message_id in self._groups[message.group_id].received:
            message.visible_at = self._clock() + seconds * SECOND
            self._offer_again(message.group_id)

    def bodies(self) -> Iterable[str]:
        """What lies in the queue, in flight or not."""
        return [message.body for message in self._messages.values()]

    def in_flight(self) -> int:
        """Messages received and not visible again, as CloudWatch counts them."""
        now = self._clock()
        return sum(
            one.visible_at > now
            for group in self._groups.values()
            for one in group.received.values()
        )

    def age_seconds(self) -> float:
        """`ApproximateAgeOfOldestMessage`."""
        for message in self._messages.values():
            if message.receives < RECEIVES_THAT_COUNT_AS_POISON:
                return (self._clock() - message.sent_at) / SECOND
        return 0.0

    def _last_in_window(self) -> int:
        """The number of the last message that SQS looks at."""
        if len(self._messages) <= self._limits.scan_window:
            return self._count
        for position, message in enumerate(self._messages.values(), start=1):
            if position == self._limits.scan_window:
                return message.number
        raise AssertionError("unreachable")

    def _room_in_flight(self) -> int:
        most = self._limits.most_in_flight
        return most if len(self._messages) < most else max(0, most - self.in_flight())

    def _take(self, group: _Group, most: int) -> list[Message]:
        """The group's first messages; they stay in it until they are deleted."""
        group.received.clear()
        taken: list[Message] = []
        for message in list(group.waiting)[:most]:
            if message.receives >= self._most_receives:
                self.poison.append(message)
                group.waiting.remove(message)
                del self._messages[message.message_id]
                continue
            message.receives += 1
            message.visible_at = self._clock() + self._visibility_ms
            group.received[message.message_id] = message
            taken.append(message)
        return taken

    def _offer_again(self, group_id: str) -> None:
        group = self._groups[group_id]
        if group.waiting:
            self._offer(group_id, group.free_at())
        else:
            del self._groups[group_id]

    def _offer(self, group_id: str, at: int) -> None:
        self._offers += 1
        heapq.heappush(self._free, (at, self._offers, group_id))
        self.wake(at)

    def next_at(self) -> int | None:
        """When it is worth looking again; None while there is nothing in it."""
        return self._free[0][0] if self._free else None


class SqsClient:
    """boto3's SQS client, as far as the layer uses it: every call is a step in the weather."""

    def __init__(self, queues: Iterable[FifoQueue], weather: Weather) -> None:
        self._queues = {queue.url: queue for queue in queues}
        self._weather = weather

    def get_queue_attributes(self, **call: Any) -> dict[str, Any]:
        name = call["QueueUrl"].rpartition("/")[2].removesuffix(".fifo")
        target = f"arn:aws:sqs:us-east-1:000000000000:{name}-dead.fifo"
        policy = json.dumps({"deadLetterTargetArn": target})
        return {"Attributes": {"RedrivePolicy": policy}}

    def send_message(self, **call: Any) -> dict[str, Any]:
        return self._step(lambda: self._put(call["QueueUrl"], call))

    def send_message_batch(self, **call: Any) -> dict[str, Any]:
        return self._each(call, lambda one: self._put(call["QueueUrl"], one))

    def delete_message_batch(self, **call: Any) -> dict[str, Any]:
        queue = self._queues[call["QueueUrl"]]
        return self._each(call, lambda one: queue.delete(one["ReceiptHandle"]))

    def change_message_visibility_batch(self, **call: Any) -> dict[str, Any]:
        queue = self._queues[call["QueueUrl"]]
        return self._each(
            call, lambda one: queue.hide(one["ReceiptHandle"], one["VisibilityTimeout"])
        )

    def _put(self, url: str, entry: dict[str, Any]) -> None:
        self._queues[url].put(
            entry["MessageBody"], entry["MessageGroupId"], entry["MessageDeduplicationId"]
        )

    def _each(self, call: dict[str, Any], do: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """One step for all entries of a batch."""

        def do_all() -> None:
            for entry in call["Entries"]:
                do(entry)

        return self._step(do_all)

    def _step(self, do: Callable[[], None]) -> dict[str, Any]:
        self._weather.step(do, _throttled)
        return {}


def _throttled() -> ClientError:
    return ClientError({"Error": {"Code": "RequestThrottled", "Message": ""}}, "sqs")
