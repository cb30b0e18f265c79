"""A storm of answers to buyers, and the reckoning afterwards: our records against the phones.

Every conversation gets numbered texts in rounds that fit WeChat's allowance, while WeChat is busy,
cuts connections and kills tokens, and, if the plan says so, a worker is killed in the middle.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.workers import workers
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo

SEND_PATHS = "/cgi-bin/message/custom/business/send"
TOKEN_PATH = "/cgi-bin/stable_token"
OUTCOMES = ["wechat.kf.message.sent", "wechat.kf.message.failed", "wechat.kf.message.unknown"]
CALLERS = 4
"""Each call at a time is a process of its own in the emulator: more only crowd two cores."""

LOST_BATCH_SECONDS = 180
"""A batch of inbound whose worker was killed stays hidden for 120 s."""

TOKEN_REFUSALS = (40001, 40014, 42001)

FAULTS: list[dict[str, Any]] = [
    {"kind": "busy", "probability": 0.02, "seed": 1},
    {"kind": "cut_before", "probability": 0.01, "seed": 2},
    {"kind": "cut_after", "probability": 0.01, "seed": 3},
    {"kind": "http_500", "probability": 0.005, "seed": 4},
    {"kind": "html", "probability": 0.005, "seed": 5},
]


@dataclass(frozen=True)
class Plan:
    """How large, and how cruel. `per_round` stays below WeChat's allowance of five."""

    messages: int
    conversations: int
    per_round: int = 4
    token_kills: int = 2
    kill_worker: bool = False
    minute_limit: bool = False
    patience_seconds: int = 150

    @property
    def per_conversation(self) -> int:
        return -(-self.messages // self.conversations)


@dataclass
class Reckoning:
    """What came of it. The lists hold what must not be: the texts concerned."""

    accepted: int = 0
    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    calls: int = 0
    token_calls: int = 0
    seconds: float = 0.0
    unsettled: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)

    @property
    def faultless(self) -> bool:
        return not (
            self.unsettled
            or self.untrue
            or self.duplicated
            or self.lost
            or self.disordered
            or self.untold
        )

    def table(self) -> str:
        lists = ("unsettled", "untrue", "duplicated", "lost", "disordered", "untold")
        rows = [
            ("messages accepted", self.accepted),
            *((f"ended {state}", count) for state, count in sorted(self.states.items())),
            ("attempts", self.attempts),
            ("calls of WeChat's send", self.calls),
            ("calls for a token", self.token_calls),
            *((name, len(getattr(self, name))) for name in lists),
            ("seconds", round(self.seconds)),
        ]
        return "\n".join(f"{name:<26}{value:>8}" for name, value in rows)


class Storm:
    """One run on a stack. Everything it makes has names of its own."""

    def __init__(
        self,
        stack: StackInfo,
        plan: Plan,
        api: ApiClient | None = None,
        simulator: SimulatorClient | None = None,
    ) -> None:
        self._stack, self._plan = stack, plan
        self._api = api or ApiClient.of(stack)
        self._simulator = simulator or SimulatorClient(stack.simulator_url)
        self._receiver = ReceiverClient(stack.receiver_url)
        self._run = uuid.uuid4().hex[:8]
        self._business_id = self._simulator.call(
            "POST",
            "/_sim/merchants",
            {"account_name": f"storm_{self._run}", "nickname": "风暴旗舰店"},
        )["business_id"]
        self._api.post("/merchants/sync").raise_for_status()
        self._buyers = [f"storm-{self._run}-{n}" for n in range(plan.conversations)]
        self._accepted: dict[str, tuple[str, str]] = {}  # text → (message id, delivery)

    @property
    def accepted_so_far(self) -> int:
        """Of the plan's messages."""
        return len(self._accepted)

    def run(self) -> Reckoning:
        started = time.monotonic()
        self._subscribe()
        tokens_before = self._calls(TOKEN_PATH)
        try:
            self._raise_the_storm()
            for first in range(0, self._plan.per_conversation, self._plan.per_round):
                self._round(range(first, first + self._plan.per_round))
        finally:
            self._simulator.call("DELETE", "/_sim/faults")
        reckoning = self._reckoned()
        reckoning.token_calls = len(self._calls(TOKEN_PATH)) - len(tokens_before)
        reckoning.seconds = time.monotonic() - started
        return reckoning

    # The storm

    def _subscribe(self) -> None:
        self._hook = f"storm-{self._run}"
        answer = self._api.post(
            f"/merchants/{self._business_id}/subscriptions",
            {
                "target": {"type": "webhook", "url": self._receiver.hook(self._hook)},
                "event_types": OUTCOMES,
            },
        )
        answer.raise_for_status()
        self._receiver.configure(self._hook, secret=answer.json()["secret"])

    def _raise_the_storm(self) -> None:
        for fault in FAULTS:
            self._fault(**fault)

    def _fault(self, **order: Any) -> None:
        scope = {"match": SEND_PATHS, "business_id": str(self._business_id)}
        self._simulator.call("POST", "/_sim/faults", {**order, **scope})

    def _round(self, numbers: Iterable[int]) -> None:
        wanted = [n for n in numbers if n < self._plan.per_conversation]
        for openid in self._buyers:
            self._simulator.say(openid, str(self._business_id), "在吗")
        for openid in self._buyers:
            self._api.wait_for_conversation(str(self._business_id), openid, LOST_BATCH_SECONDS)
        mischief = threading.Thread(target=self._mischief, args=(wanted[0],))
        mischief.start()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(lambda openid: self._answer(openid, wanted), self._buyers))
        mischief.join()
        wait_until(self._all_settled, self._plan.patience_seconds, "settled round")

    def _answer(self, openid: str, numbers: Iterable[int]) -> None:
        """One conversation's texts, one after the other: their order is a promise."""
        for number in numbers:
            text = f"{openid} {number}"
            delivery = "at_least_once" if number % 3 == 2 else "at_most_once"
            answer = self._api.post(
                f"/merchants/{self._business_id}/messages",
                {
                    "openid": openid,
                    "message": {"type": "text", "text": text},
                    "delivery": delivery,
                },
                headers={"Idempotency-Key": text},
            )
            answer.raise_for_status()
            self._accepted[text] = (answer.json()["message_id"], delivery)

    def _mischief(self, first_number: int) -> None:
        """What goes wrong once, in the middle of a round."""
        time.sleep(0.5)
        round_number = first_number // self._plan.per_round
        if round_number < self._plan.token_kills:
            self._simulator.call("POST", "/_sim/tokens/kill")
        if round_number == 1 and self._plan.kill_worker:
            self._kill_a_worker()
        if round_number == 2 and self._plan.minute_limit:
            self._fault(kind="errcode:45011", times=2)

    def _kill_a_worker(self) -> None:
        """While it waits for WeChat, which has the message already."""
        self._fault(kind="slow:3000", times=10)
        time.sleep(1)
        for pid in workers(self._stack, "Outbound"):
            os.kill(pid, signal.SIGKILL)

    def _all_settled(self) -> bool:
        """The index of what is on its way has none of ours."""
        pages = (
            aws_client(self._stack, "dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self._stack.outputs["MessagesTableName"],
                IndexName="unsettled",
                FilterExpression="begins_with(c, :mine)",
                ExpressionAttributeValues={":mine": {"S": f"{self._business_id}#"}},
            )
        )
        return not any(page["Count"] for page in pages)

    # The reckoning

    def _reckoned(self) -> Reckoning:
        shown = self._shown()
        told = self._told()
        reckoning = Reckoning(accepted=len(self._accepted))
        reckoning.attempts = sum(outcomes[0]["attempts"] for outcomes in told.values())
        calls = [call for call in self._calls(SEND_PATHS) if self._ours(call)]
        reckoning.calls = len([call for call in calls if call["errcode"] not in TOKEN_REFUSALS])
        states = self._states()
        for text, (message_id, delivery) in self._accepted.items():
            seen, state = shown[text], states.get(message_id, "absent")
            reckoning.states[f"{state}, {delivery}"] += 1
            if state not in ("sent", "failed", "unknown"):
                reckoning.unsettled.append(text)
            if (state == "sent" and not seen) or (state == "failed" and seen):
                reckoning.untrue.append(text)
            if delivery == "at_most_once" and seen > 1:
                reckoning.duplicated.append(text)
            if delivery == "at_least_once" and not seen:
                reckoning.lost.append(text)
            if [one["status"] for one in told[message_id]] != [state]:
                reckoning.untold.append(text)
        reckoning.disordered = self._disordered()
        return reckoning

    def _ours(self, call: dict[str, Any]) -> bool:
        return str(call["business_id"]) == str(self._business_id)

    def _all(self, what: str, path: str = "") -> list[dict[str, Any]]:
        """All records of the simulator of one kind."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            query = f"after={after}&limit=1000" + (f"&path={path}" if path else "")
            page = self._simulator.call("GET", f"/_sim/{what}?{query}")
            if not page["items"]:
                return found
            found += page["items"]
            after = page["next"]

    def _calls(self, path: str) -> list[dict[str, Any]]:
        return self._all("calls", path)

    def _texts_by_buyer(self) -> dict[str, list[str]]:
        """What each phone showed, in order."""
        phones: dict[str, list[str]] = defaultdict(list)
        for delivery in self._all("deliveries"):
            if str(delivery["business_id"]) == str(self._business_id):
                phones[delivery["openid"]].append(delivery["content"]["content"])
        return phones

    def _shown(self) -> Counter[str]:
        return Counter(text for texts in self._texts_by_buyer().values() for text in texts)

    def _disordered(self) -> list[str]:
        return [
            openid
            for openid, texts in self._texts_by_buyer().items()
            if (numbers := [int(text.rpartition(" ")[2]) for text in texts]) != sorted(numbers)
        ]

    def _states(self) -> dict[str, str]:
        """Message id → state, as the API tells it: from the transcripts."""
        states: dict[str, str] = {}
        for openid in self._buyers:
            path = f"/merchants/{self._business_id}/conversations/{openid}/messages"
            cursor: str | None = ""
            while cursor is not None:
                page = self._api.get(f"{path}?limit=100{cursor}").json()
                states |= {one["id"]: one["status"] for one in page["items"] if one["status"]}
                cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        return states

    def _told(self) -> dict[str, list[dict[str, Any]]]:
        """Message id → the outcome events about it: there must be one."""

        def everything() -> list[dict[str, Any]]:
            requests = self._receiver.received(self._hook)
            events = [json.loads(one["body"]) for one in requests if one["verified"]]
            unique = {event["id"]: event for event in events}
            return list(unique.values()) if len(unique) >= len(self._accepted) else []

        told: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for event in wait_until(
            everything, self._plan.patience_seconds, "outcome of every message"
        ):
            told[event["data"]["message_id"]].append(event["data"])
        return told
