"""Measure a reply beside a broadcast: it must not wait behind the campaign."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from benchmarks.bench_stack import adopt_merchants, bench_stack
from benchmarks.measure import Row, Section, percentile
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.function_logs import lines_of

ROUNDS = 3
REPLIES = 100
RECIPIENTS = 1_000
WARM_UP_RECIPIENTS = 50
PAUSE_SECONDS = 0.25
WAIT_SECONDS = 300.0
WECHAT_MS = 150
SEND_PATH = "/cgi-bin/message/custom/"
GOAL = 1.5

NOTE = (
    f"From a reply's POST to WeChat's confirmation, {REPLIES} replies to as many buyers of one "
    f"merchant, first alone, then while a broadcast of another merchant to {RECIPIENTS:,} buyers "
    f"is expanded and sent; {ROUNDS} times in turn, and the percentiles are of all rounds' "
    f"replies, because the 99th of {REPLIES} is the last but one. WeChat answers each call after "
    f"{WECHAT_MS} ms. Everything shares two cores here: what a reply loses to the other processes' "
    "use of the processor is in the ratio."
)


def run() -> list[Section]:
    with bench_stack() as stack:
        return [Lanes(stack).measure()]


class Lanes:
    """The two merchants of the measurement on one stack."""

    def __init__(self, stack: StackInfo) -> None:
        self._stack = stack
        self._api = ApiClient.of(stack)
        self._simulator = SimulatorClient(stack.simulator_url)
        names = ("quiet", "busy")
        merchants = [{"account_name": f"lane_{one}", "nickname": f"山茶{one}"} for one in names]
        self._quiet, self._busy = adopt_merchants(stack, merchants)

    def measure(self) -> Section:
        """Measure the replies alone and beside a broadcast."""
        self._add_conversations(self._quiet, REPLIES)
        self._add_conversations(self._busy, RECIPIENTS)
        alone: list[float] = []
        beside: list[float] = []
        later: list[float] = []
        left: list[int] = []
        with self._slow_wechat():
            self._warm_up()
            for _ in range(ROUNDS):
                alone += self._reply(REPLIES).values()
                location = self._broadcast(RECIPIENTS)
                taken = self._reply(REPLIES)
                left.append(self._wait_for_broadcast(location))
                written = self._written_at(location)
                beside += taken.values()
                later += [ms for posted, ms in taken.items() if posted > written]
        rows = [
            _row("p50", alone, beside, 50),
            _row("p99", alone, beside, 99, GOAL),
            _row("p99, once the recipients' messages are stored", alone, later, 99),
            ["replies since then", "", f"{len(later)}", "", "", ""],
            [f"fewest recipients left after {REPLIES} replies", "", f"{min(left):,}", "", "", ""],
        ]
        header = ["a reply", "alone", "beside a broadcast", "ratio", "goal", ""]
        return Section("Replies beside a broadcast", NOTE, header, rows)

    def _written_at(self, location: str) -> float:
        """Return when (epoch seconds) every message of a broadcast was stored and queued."""
        expanded = ('"broadcast expanded"', location.rpartition("/")[2])
        for at_ms, _, line in lines_of(aws_client(self._stack, "logs")):
            if all(part in line for part in expanded):
                return at_ms / 1000
        raise AssertionError(f"no log says that {location} was expanded")

    def _reply(self, number: int) -> dict[float, float]:
        """Send replies at a steady rate; return, by its time, how long each took in ms."""
        started: dict[str, float] = {}
        for buyer in range(number):
            body = {
                "openid": openid(self._quiet, buyer),
                "message": {"type": "text", "text": "在的"},
            }
            posted = time.time()
            answer = self._api.post(f"/merchants/{self._quiet}/messages", body)
            assert answer.status_code == 202, answer.text
            started[answer.headers["Location"]] = posted
            time.sleep(PAUSE_SECONDS)
        return {
            posted: self._settled_at(location) - posted * 1000
            for location, posted in started.items()
        }

    def _settled_at(self, location: str) -> float:
        def read() -> str | None:
            settled_at: str | None = self._api.get(location).json()["settled_at"]
            return settled_at

        text = wait_until(read, WAIT_SECONDS, f"outcome of {location}")
        return datetime.fromisoformat(text).timestamp() * 1000

    def _warm_up(self) -> None:
        """Start the workers of both lanes: cold starts are measured elsewhere."""
        location = self._broadcast(WARM_UP_RECIPIENTS)
        self._reply(10)
        self._wait_for_broadcast(location)

    def _broadcast(self, recipients: int) -> str:
        body = {
            "openids": [openid(self._busy, buyer) for buyer in range(recipients)],
            "message": {"type": "text", "text": "今晚八点直播。"},
        }
        answer = self._api.post(f"/merchants/{self._busy}/broadcasts", body)
        assert answer.status_code == 202, answer.text
        location: str = answer.headers["Location"]
        return location

    def _wait_for_broadcast(self, location: str) -> int:
        """Return how many recipients were left, once none is."""
        first = self._count_left(location)
        wait_until(lambda: self._count_left(location) == 0, WAIT_SECONDS, "end of the broadcast")
        return first

    def _count_left(self, location: str) -> int:
        broadcast = self._api.get(location).json()
        progress: dict[str, int] = broadcast["progress"]
        recipients: int = broadcast["recipients"]
        return recipients - sum(progress[one] for one in ("sent", "failed", "unknown"))

    @contextmanager
    def _slow_wechat(self) -> Iterator[None]:
        fault = {"kind": f"slow:{WECHAT_MS}", "match": SEND_PATH}
        self._simulator.call("POST", "/_sim/faults", fault)
        try:
            yield
        finally:
            self._simulator.call("DELETE", "/_sim/faults")

    def _add_conversations(self, business_id: str, number: int) -> None:
        """Write conversations as if each buyer had just sent a message."""
        dynamodb = aws_client(self._stack, "dynamodb")
        now = time.time_ns() // 1_000_000
        for buyer in range(number):
            item = {
                "business_id": {"S": business_id},
                "openid": {"S": openid(business_id, buyer)},
                "messaged_at": {"N": str(now)},
                "active_at": {"N": str(now)},
                "expires_at": {"N": str(now // 1000 + 86_400)},
            }
            dynamodb.put_item(TableName=self._stack.outputs["ConversationsTableName"], Item=item)


def _row(
    name: str,
    alone: list[float],
    beside: list[float],
    percent: int,
    goal: float | None = None,
) -> list[str]:
    one, other = (percentile(found, percent) for found in (alone, beside))
    return Row(name, one, other, "ms", other / one, goal, at_least=False).cells()


_RUN = uuid.uuid4().hex[:8]


def openid(business_id: str, buyer: int) -> str:
    """Return the OpenID of a buyer of one of the two merchants."""
    return f"oLane{_RUN}{int(business_id):04}{buyer:011}"
