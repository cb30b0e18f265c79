"""One live stream of what happens in the stack: WeChat, the webhooks and the queues."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf_cli.stack.clients import aws_client
from wechat_kf_cli.stack.state import StackInfo

T = TypeVar("T")

Event = Mapping[str, Any]

WATCHER_LIMIT = 2_000
"""Events kept for a page that reads slowly; it misses any beyond."""
KEPT_EVENTS = 1_500
"""The journal of some hundred messages."""

RETRY_SECONDS = 1.0
READ_SECONDS = 1.0
LONGEST_LINE = 2**20
QUEUES = {
    "inbound": "InboundQueueUrl",
    "deliveries": "DeliveriesQueueUrl",
    "outbound": "OutboundQueueUrl",
}
"""Queue names shown on the page, and the stack outputs with their URLs."""
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class Feed:
    """Publishes events to every open page, and keeps the latest for pages that open later.

    Each event names its origin under `from`, and under `at` when it happened: Unix time of the
    server it comes from.
    """

    def __init__(self) -> None:
        self._watchers: set[asyncio.Queue[Event]] = set()
        self._past: deque[Event] = deque(maxlen=KEPT_EVENTS)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Event]]:
        """Subscribe to what is kept, marked as `past`, and to all events from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(WATCHER_LIMIT)
        for event in self._past:
            queue.put_nowait({**event, "past": True})
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def publish(self, origin: str, event: Event, *, keep: bool = True) -> None:
        """Hand an event to every open page; `keep` it for later ones unless it is of the moment."""
        stamped = {"from": origin, "at": time.time(), **event}
        if keep:
            self._past.append(stamped)
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(stamped)

    async def follow(
        self,
        session: aiohttp.ClientSession,
        origin: str,
        url: str,
        amend: Callable[[Event], Event] = lambda event: event,
    ) -> None:
        """Forward a stream of Server-Sent Events until cancelled; reconnect when it breaks."""
        while True:
            try:
                async for event in _server_sent(session, url):
                    self.publish(origin, amend(event))
            except (aiohttp.ClientError, OSError, ValueError):
                pass  # the server is not reachable right now, or the line was not an event
            await asyncio.sleep(RETRY_SECONDS)

    async def follow_steps(self, read: Callable[[], list[Event]]) -> None:
        """Publish what `read` returns each second while a page is open."""
        async for steps in self._readings(read):
            for step in steps or ():
                self.publish("function", step)

    async def follow_queues(self, stack: StackInfo) -> None:
        """Publish the number of waiting messages per queue when it changes and a page is open."""
        known: dict[str, int] | None = None
        async for waiting in self._readings(_counter(stack)):
            if waiting is not None and waiting != known:
                self.publish("queues", {"waiting": waiting}, keep=False)
            known = waiting

    async def _readings(self, read: Callable[[], T]) -> AsyncIterator[T | None]:
        """Yield what `read` returns each second, where AWS answers; None while no page is open."""
        while True:
            await asyncio.sleep(READ_SECONDS)
            if not self._watchers:
                yield None
                continue
            try:
                found = await asyncio.to_thread(read)
            except (BotoCoreError, ClientError):
                continue
            yield found


async def _server_sent(session: aiohttp.ClientSession, url: str) -> AsyncIterator[Event]:
    timeout = aiohttp.ClientTimeout(total=None, sock_read=60)  # both sides send heartbeats
    async with session.get(url, timeout=timeout, read_bufsize=LONGEST_LINE) as answer:
        async for line in answer.content:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def _counter(stack: StackInfo) -> Callable[[], dict[str, int]]:
    sqs = aws_client(stack, "sqs")
    urls = {name: stack.outputs[output] for name, output in QUEUES.items()}

    def waiting(url: str) -> int:
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTS))
        return sum(int(answer["Attributes"].get(name, 0)) for name in _COUNTS)

    return lambda: {name: waiting(url) for name, url in urls.items()}
