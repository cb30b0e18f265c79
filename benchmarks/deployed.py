"""Measure calls per message, and the pipeline against an empty one, on the deployed stack."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from benchmarks.bench_stack import (
    adopt_merchants,
    bench_stack,
    calls_between,
    deploy_empty_pipeline,
)
from benchmarks.measure import Section, percentile
from benchmarks.page import measure_page
from benchmarks.samples import Account, BodyFormat, sealed_push
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo

COUNTED = 20
LATENCIES = 40
BURST = 200
CONVERSATIONS = 40
POSTERS = 4
WAIT_SECONDS = 60.0
BUSINESS_ID = "42"
SEND_PATH = "/cgi-bin/message/custom/business/send"
TOKEN_PATH = "/cgi-bin/stable_token"

COUNTED_NOTE = (
    f"{COUNTED} pushes, then {COUNTED} sends, on the deployed stack: the calls recorded by the "
    "emulator's CloudTrail and the WeChat simulator, divided by the number of messages. Reads "
    "have no promise; those cached for seconds are spread over the messages of a warm worker. "
    "Lambda's own queue requests (receive, delete) are not counted here; the cost table includes "
    "them."
)
PIPELINE_NOTE = (
    "From the push's POST to the webhook's arrival, on the local stack (two cores, one emulator): "
    "ours against three empty functions with the same hops (`benchmarks/empty_pipeline`: HTTP API, "
    "function, FIFO queue, function, FIFO queue, function, HTTP POST) on the same emulator, with "
    "as many messages. Latency with one message at a time, alternating between the two; "
    f"throughput with {BURST} messages posted at once by {POSTERS} callers over {CONVERSATIONS} "
    "conversations. The figures depend on this machine and emulator: only the ratio is meaningful, "
    "and the emulator processes one batch of a FIFO queue at a time, where AWS processes many."
)
GROWTH_NOTE = (
    "The same latency with few and with many rows in the deployed tables; the pushes of the second "
    "row go to that many merchants in turn. The emulator's tables are in memory: this shows that "
    "no function's work grows with the table, not how DynamoDB behaves (by key, its latency does "
    "not depend on the size of a table). No function scans a table (the sweeper scans the index of "
    "what is unsettled), and every Query names one conversation, one merchant or one shard."
)

Post = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One side: `post` sends message (id, number), `hook` is where it arrives."""

    post: Post
    hook: str


class Deployed:
    """What the measurements have in common."""

    def __init__(self, stack: StackInfo) -> None:
        self.stack = stack
        self.api = ApiClient.of(stack)
        self.simulator = SimulatorClient(stack.simulator_url)
        self.receiver = ReceiverClient(stack.receiver_url)
        self._account = Account(stack.app_id, stack.push_token, stack.encoding_aes_key)
        answer = self.api.post(
            "/merchants/*/subscriptions",
            {"target": {"type": "webhook", "url": self.receiver.hook("ours")}},
        )
        assert answer.status_code == 201, answer.text
        self.receiver.configure("ours", secret=answer.json()["secret"])

    def push(self, name: str, number: int, merchants: int = 1) -> None:
        """One text whose content is `name`; numbers share conversations."""
        body, query = sealed_push(
            BodyFormat.XML,
            int(time.time()),
            self._account,
            Content=name,
            FromUserName=openid(number),
            MsgId=uuid.uuid4().int >> 70,
            CreateTime=int(time.time()),
            BusinessId=int(BUSINESS_ID) + number % merchants,
        )
        self._accepted(requests.post(self.stack.push_url, body, params=query, timeout=30))

    def post_empty(self, url: str, name: str, number: int) -> None:
        body = {"id": name, "group": openid(number), "text": "你好，请问这件外套还有 L 码吗？"}
        self._accepted(requests.post(url, json=body, timeout=30))

    def arrivals(self, pipeline: Pipeline, names: Sequence[str]) -> dict[str, float]:
        """Wait for all messages and return their arrival times (epoch seconds) by message id."""
        wanted = set(names)

        def all_arrived() -> dict[str, float]:
            found = {
                name: one["at"]
                for one in self.receiver.received(pipeline.hook)
                if (name := _name_of(one["body"])) in wanted
            }
            return found if len(found) == len(wanted) else {}

        return wait_until(all_arrived, WAIT_SECONDS, f"arrival of {len(wanted)} messages")

    def forget_arrivals(self) -> None:
        requests.delete(f"{self.receiver.url}/received", timeout=30).raise_for_status()

    def _accepted(self, answer: requests.Response) -> None:
        assert answer.text == "success", f"{answer.status_code} {answer.text[:200]}"


def run() -> list[Section]:
    with bench_stack(records_calls=True) as stack:
        deployed = Deployed(stack)
        ours = Pipeline(deployed.push, "ours")
        url = deploy_empty_pipeline(stack, deployed.receiver.hook("empty"))
        empty = Pipeline(lambda name, number: deployed.post_empty(url, name, number), "empty")
        for pipeline in (ours, empty):  # cold starts are measured elsewhere
            _burst(deployed, pipeline, 20)
        return [
            _counted(deployed),
            _compared(deployed, ours, empty),
            _grown(deployed, ours),
            measure_page(stack),
        ]


# -- calls


def _counted(deployed: Deployed) -> Section:
    received, _ = _watched(deployed, lambda: _receive(deployed))
    business_id = _conversations(deployed)
    sent, wechat = _watched(deployed, lambda: _answer(deployed, business_id, COUNTED))
    sqs = ("SendMessage", "SendMessageBatch")
    rows = [
        _promised("a push: SQS calls to acknowledge", received["SendMessage", "InboundQueue"], "1"),
        _promised("a push: DynamoDB writes behind it", _writes(received), "≤ 2"),
        _promised(
            "a push: SQS calls for its one subscription", _of(received, sqs, "DeliveriesQueue"), "1"
        ),
        _counted_only("a push: DynamoDB reads", _reads(received)),
        _promised("a send: DynamoDB writes", _writes(sent), "≤ 3"),
        _promised("a send: calls of WeChat's send", wechat[SEND_PATH], "1"),
        _promised("a send: calls for a token", wechat[TOKEN_PATH], "0"),
        _promised("a send: SQS calls to queue it", sent["SendMessage", "OutboundQueue"], "1"),
        _promised(
            "a send: SQS calls for its one subscription", _of(sent, sqs, "DeliveriesQueue"), "1"
        ),
        _counted_only("a send: DynamoDB reads", _reads(sent)),
    ]
    header = ["per message", "counted", "promised", ""]
    return Section("Calls per message", COUNTED_NOTE, header, rows)


def _watched(
    deployed: Deployed, work: Callable[[], None]
) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Count the calls to AWS and to WeChat that `work` caused."""
    before = Counter(deployed.simulator.call("GET", "/_sim/counters").get("calls", {}))
    start = time.time()
    work()
    time.sleep(1)  # nothing more may come
    calls = calls_between(deployed.stack, start, time.time())
    after = Counter(deployed.simulator.call("GET", "/_sim/counters").get("calls", {}))
    return calls, after - before


def _receive(deployed: Deployed) -> None:
    _burst(deployed, Pipeline(deployed.push, "ours"), COUNTED)


def _conversations(deployed: Deployed) -> str:
    """Prepare a merchant with `COUNTED` conversations and a warm sender; return its business id."""
    merchant = {"account_name": "benchmark", "nickname": "山茶旗舰店"}
    [business_id] = adopt_merchants(deployed.stack, [merchant])
    deployed.forget_arrivals()
    for number in range(COUNTED):
        deployed.simulator.say(openid(number), business_id, "在吗")
    _wait_for_events(deployed, "wechat.kf.message.received", COUNTED)
    _answer(deployed, business_id, 1)
    return business_id


def _answer(deployed: Deployed, business_id: str, number: int) -> None:
    """Send one message to each of `number` buyers and wait for every outcome."""
    deployed.forget_arrivals()
    for buyer in range(number):
        body = {"openid": openid(buyer), "message": {"type": "text", "text": "在的"}}
        answer = deployed.api.post(f"/merchants/{business_id}/messages", body)
        assert answer.status_code == 202, answer.text
    _wait_for_events(deployed, "wechat.kf.message.sent", number)


def _wait_for_events(deployed: Deployed, event_type: str, number: int) -> None:
    def all_arrived() -> bool:
        types = [json.loads(one["body"])["type"] for one in deployed.receiver.received("ours")]
        return types.count(event_type) == number

    wait_until(all_arrived, WAIT_SECONDS, f"{number} × {event_type}")


def _writes(calls: Counter[tuple[str, str]]) -> int:
    return _of(calls, ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"))


def _reads(calls: Counter[tuple[str, str]]) -> int:
    return _of(calls, ("GetItem", "Query", "BatchGetItem"))


def _of(calls: Counter[tuple[str, str]], operations: Sequence[str], target: str = "") -> int:
    return sum(
        number
        for (operation, where), number in calls.items()
        if operation in operations and target in ("", where)
    )


def _promised(what: str, number: int, promise: str) -> list[str]:
    each, bound = number / COUNTED, float(promise.removeprefix("≤"))
    met = each <= bound if promise.startswith("≤") else each == bound
    return [what, f"{each:g}", promise, "met" if met else "**missed**"]


def _counted_only(what: str, number: int) -> list[str]:
    return [what, f"{number / COUNTED:g}", "", ""]


# -- throughput and latency


def _compared(deployed: Deployed, ours: Pipeline, empty: Pipeline) -> Section:
    sides = (ours, empty)
    latencies = _latencies(deployed, sides, LATENCIES)
    throughputs: list[list[float]] = [[], []]
    for _ in range(2):
        for side, pipeline in enumerate(sides):
            throughputs[side].append(BURST / _burst(deployed, pipeline, BURST))
    rows = [
        ["messages per second", *_numbers([max(found) for found in throughputs], "")],
        ["latency, p50", *_numbers([percentile(found, 50) for found in latencies], " ms")],
        ["latency, p95", *_numbers([percentile(found, 95) for found in latencies], " ms")],
    ]
    header = ["what", "ours", "empty functions", "ratio"]
    return Section("The whole pipeline", PIPELINE_NOTE, header, rows)


def _numbers(both: Sequence[float], unit: str) -> list[str]:
    ours, other = both
    return [f"{ours:,.0f}{unit}", f"{other:,.0f}{unit}", f"{ours / other:.2f} ×"]


def _latencies(deployed: Deployed, pipelines: Sequence[Pipeline], number: int) -> list[list[float]]:
    """Measure each message in milliseconds, one at a time, alternating between pipelines."""
    found: list[list[float]] = [[] for _ in pipelines]
    deployed.forget_arrivals()
    for turn in range(number):
        for side, pipeline in enumerate(pipelines):
            name = uuid.uuid4().hex
            started = time.time()
            pipeline.post(name, turn)
            arrived = deployed.arrivals(pipeline, [name])[name]
            found[side].append((arrived - started) * 1000)
    return found


def _burst(deployed: Deployed, pipeline: Pipeline, number: int) -> float:
    """Measure the seconds from the first post to the last arrival."""
    deployed.forget_arrivals()
    names = [uuid.uuid4().hex for _ in range(number)]
    started = time.time()
    with ThreadPoolExecutor(POSTERS) as pool:
        list(pool.map(pipeline.post, names, range(number)))
    return max(deployed.arrivals(pipeline, names).values()) - started


# -- growth


def _grown(deployed: Deployed, ours: Pipeline) -> Section:
    rows = []
    held = 0
    for merchants, conversations in ((1, 1_000), (500, 100_000)):
        _preload(deployed.stack, range(held, conversations))
        held = conversations

        def post(name: str, number: int, among: int = merchants) -> None:
            deployed.push(name, number, among)

        (found,) = _latencies(deployed, [Pipeline(post, ours.hook)], LATENCIES)
        rows.append(
            [
                f"{merchants:,}",
                f"{conversations:,}",
                f"{percentile(found, 50):,.0f} ms",
                f"{percentile(found, 95):,.0f} ms",
            ]
        )
    header = ["merchants", "conversations", "latency, p50", "p95"]
    return Section("Growth: latency on the local stack", GROWTH_NOTE, header, rows)


def _preload(stack: StackInfo, numbers: range) -> None:
    """Conversations, spread over 500 merchants."""
    dynamodb = aws_client(stack, "dynamodb")
    table = stack.outputs["ConversationsTableName"]
    now = str(time.time_ns() // 1_000_000)

    def write(batch: Sequence[int]) -> None:
        puts = [{"PutRequest": {"Item": _conversation(number, now)}} for number in batch]
        dynamodb.batch_write_item(RequestItems={table: puts})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, _slices(numbers, 25)))


def _conversation(number: int, now: str) -> dict[str, dict[str, str]]:
    return {
        "business_id": {"S": str(int(BUSINESS_ID) + number % 500)},
        "openid": {"S": f"preloaded-{number:07}"},
        "messaged_at": {"N": now},
        "active_at": {"N": now},
        "expires_at": {"N": str(int(time.time()) + 86_400)},
    }


def _slices(numbers: range, size: int) -> Iterator[range]:
    return (numbers[start : start + size] for start in range(0, len(numbers), size))


def openid(number: int) -> str:
    """The buyer of a message: `CONVERSATIONS` of them."""
    return f"o9AgO5Kd5ggOC-bXrbNODIi{number % CONVERSATIONS:05}"


def _name_of(body: str) -> str:
    """The message id in what a hook got, from either side."""
    document = json.loads(body)
    if "specversion" in document:
        return str(document["data"].get("message", {}).get("text", ""))
    return str(document["id"])
