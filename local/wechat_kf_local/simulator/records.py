"""What happened, kept for proofs and shown live."""

import asyncio
import hashlib
import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from wechat_kf_local.simulator.rules.accounts import SubMerchant
from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.rules.refusals import Refused

KEPT: Final = 100_000
"""Calls and deliveries kept; counters count on."""

KEPT_EVENTS: Final = 2_000
KEPT_REQUESTS: Final = 20_000
"""Pushes and refused calls kept, which carry whole bodies."""

RID_LIFE_SECONDS: Final = 7 * 24 * 3600

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """What rid/get reports of an earlier request."""

    invoke_time: float
    cost_in_ms: int
    url: str
    body: str
    answer: str
    client_ip: str


class Events:
    """Every happening, for whoever is watching. A watcher too slow to follow misses some."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._recent: deque[Record] = deque(maxlen=KEPT_EVENTS)
        self._watchers: set[asyncio.Queue[Record | None]] = set()

    def publish(self, kind: str, **details: Any) -> None:
        self._count += 1
        # `time` is WeChat's clock, which can be moved; `at` is the real one.
        now = {"time": self._clock.now(), "at": time.time()}
        event = {"n": self._count, **now, "kind": kind, **details}
        self._recent.append(event)
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait(event)

    def since(self, number: int) -> list[Record]:
        return [event for event in self._recent if event["n"] > number]

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Record | None]]:
        """A queue of events from now on; None says that there will be no more."""
        queue: asyncio.Queue[Record | None] = asyncio.Queue(KEPT_EVENTS)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def close(self) -> None:
        for queue in self._watchers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    def clear(self) -> None:
        self._recent.clear()


class Records:
    """Calls, deliveries to phones, pushes and counters."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self.events = Events(clock)
        self.calls: deque[Record] = deque(maxlen=KEPT)
        self.deliveries: deque[Record] = deque(maxlen=KEPT)
        self.pushes: deque[Record] = deque(maxlen=KEPT_REQUESTS)
        self.counters: dict[str, Counter[str]] = {}
        self._requests: OrderedDict[str, Request] = OrderedDict()

    def count(self, what: str, name: str, by: int = 1) -> None:
        self.counters.setdefault(what, Counter())[name] += by

    def counted(self, what: str) -> int:
        return sum(self.counters.get(what, Counter()).values())

    def call(self, *, wire: Record | None = None, **details: Any) -> Record:
        """Record one call of the API; only watchers see `wire`, what was sent and answered."""
        record = self._numbered("calls", details)
        self.calls.append(record)
        self.count("calls", record["path"])
        if record["errcode"]:
            self.count("errcodes", f"{record['path']} {record['errcode']}")
        self.events.publish("call", call=record, wire=wire)
        return record

    def delivery(self, **details: Any) -> Record:
        """Record one message shown to a buyer."""
        record = self._numbered("deliveries", details)
        self.deliveries.append(record)
        self.count("deliveries", details["business_id"])
        self.events.publish("message_shown", message=record)
        return record

    def push(self, **details: Any) -> Record:
        """Record one push, with all its tries."""
        record = self._numbered("pushes", details)
        self.pushes.append(record)
        self.count("pushes", "accepted" if record["accepted"] else "refused")
        self.count("push_attempts", record["msgtype"], len(record["attempts"]))
        return record

    def registered(self, merchant: SubMerchant) -> None:
        self.events.publish(
            "registered", business_id=str(merchant.business_id), nickname=merchant.nickname
        )

    def new_rid(self) -> str:
        parts = (int(self._clock.now()), *(self._random.getrandbits(32) for _ in range(2)))
        return "-".join(f"{part:08x}" for part in parts)

    def remember(self, rid: str, request: Request) -> None:
        self._requests[rid] = request
        if len(self._requests) > KEPT_REQUESTS:
            self._requests.popitem(last=False)

    def request(self, rid: str) -> Request:
        """Raises Refused when there is none of this rid, or it is too old."""
        found = self._requests.get(rid)
        if found is None:
            raise Refused(76001)
        if self._clock.now() - found.invoke_time > RID_LIFE_SECONDS:
            raise Refused(76004)
        return found

    def clear(self) -> None:
        for kept in (self.calls, self.deliveries, self.pushes):
            kept.clear()
        self.counters.clear()
        self._requests.clear()
        self.events.clear()

    def _numbered(self, what: str, details: Record) -> Record:
        number = self.counted(what) + 1
        return {"n": number, "time": self._clock.now(), **details}


def digest(value: Any) -> str:
    """SHA-256 in hex of a message, to compare without carrying it about."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
