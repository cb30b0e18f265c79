"""The storm on the deployed stack: pushes, answers and mischief at the same time.

The seed decides what is said, by whom and when something breaks. What meets what is up to the
machine: unlike the storm in process, the same seed is the same script, not the same run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import requests

from tests.chaos import outbound_storm
from tests.chaos.mischief import Kill, Mischief
from tests.chaos.progress import Tell, silently, telling
from tests.chaos.reckoning import (
    FORGOTTEN,
    KILLED,
    Audience,
    Pushed,
    Receipt,
    Report,
    reckon_pushes,
)
from tests.chaos.subscribers import CHARACTERS, Subscribers
from tests.chaos.wechat_side import event_id_of
from wechat_kf_cli.stack.clients import (
    ApiClient,
    NothingFoundError,
    PushRefusedError,
    SimulatorClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import StackInfo, StateDirectory

CALLERS = 3
"""Buyers who say something at the same time: each is a process of the emulator's, on few cores."""

LONGEST_ATTEMPT_SECONDS = 30.0
"""The deliveries function's own time limit: no killed batch had been going on for longer."""

FORGOTTEN_SECONDS = 290.0
"""SQS knows a deduplication id for five minutes; the first receipt came a little after it."""

LONGEST_DRAIN_SECONDS = 300.0
"""A backlog of one who fails now and then may wait longer: then the queue must still hold it."""

PUSH_TYPES = ["wechat.kf.message.received", "wechat.kf.session.entered"]
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a storm, and for how long. A `long` one kills the consumers of queues as well,
    whose messages are then hidden for up to three minutes."""

    seed: int = 1
    pushes: int = 200
    sends: int = 80
    conversations: int = 40
    answered_conversations: int = 20
    mischief_every_seconds: float = 2.0
    patience_seconds: float = 150.0
    long: bool = False

    @classmethod
    def of(cls, *, seed: int, pushes: int, sends: int, minutes: float) -> Plan:
        """A plan of that size; a storm of more than a few minutes is a long one."""
        is_long = minutes > 3
        return cls(
            seed=seed,
            pushes=pushes,
            sends=sends,
            conversations=max(20, pushes // 25),
            answered_conversations=max(10, sends // 10) if is_long else max(10, sends // 4),
            mischief_every_seconds=8.0 if is_long else 2.0,
            patience_seconds=minutes * 60,
            long=is_long,
        )


class PatientApi(ApiClient):
    """A caller as ours must be: what was not answered well is asked again, with the same key."""

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        for number in itertools.count():
            with suppress(requests.RequestException):
                answer = super().request(*arguments, **named)
                if (answer.status_code < 500 and answer.status_code != 429) or number >= 10:
                    return answer
            time.sleep(0.5)
        raise AssertionError("unreachable")


class StubbornBuyers(SimulatorClient):
    """Buyers who write again when nobody took their message."""

    def say(self, openid: str, business_id: str, text: str, **manner: Any) -> dict[str, Any]:
        for _ in range(60):
            with suppress(PushRefusedError):
                return super().say(openid, business_id, text, **manner)
            time.sleep(0.5)
        raise AssertionError("no push was taken for half a minute")


class Answers(outbound_storm.Storm):
    """The storm of answers, by callers who repeat what failed."""

    def __init__(self, stack: StackInfo, plan: outbound_storm.Plan) -> None:
        api = ApiClient.of(stack)
        patient = PatientApi(api.url, api.region, api.credentials)
        super().__init__(stack, plan, patient, StubbornBuyers(stack.simulator_url))


@dataclass(slots=True)
class Conversation:
    """A buyer with a merchant, and how much was said."""

    business_id: str
    openid: str
    said: int = 0


class Storm:
    """One storm on one stack. Everything it makes has names of its own."""

    def __init__(self, stack: StackInfo, state: StateDirectory, plan: Plan) -> None:
        self._stack = stack
        self._plan = plan
        self._random = Random(plan.seed)
        self._run = f"{int(time.time()):x}"
        self._simulator = SimulatorClient(stack.simulator_url)
        self._api = PatientApi.of(stack)
        self._subscribers = Subscribers(
            Random(plan.seed + 1),
            farewell_after=5,
            most_refusals=8 if plan.long else 2,
        )
        self._mischief = Mischief(
            stack,
            state,
            Random(plan.seed + 2),
            kill_consumers=plan.long,
        )
        self._owners: dict[str, str] = {}
        self._subscriptions: dict[str, str] = {}
        self._message_numbers: dict[str, tuple[Conversation, int]] = {}
        self._lock = threading.Lock()
        self._overtaken: set[str] = set()
        self._depth_before = self._dead_letters_before = 0
        self._answering: Answers | None = None
        self._answers: outbound_storm.Reckoning | None = None

    def run(self, tell: Tell = silently) -> Report:
        started = time.monotonic()
        with self._subscribers.listening(), self._subscribed(), telling(tell, self._state):
            with self._mischief.going_on(self._plan.mischief_every_seconds):
                self._let_it_loose()
            pushes = self._pushes()
            pushed_after = time.monotonic() - started
            self._wait_until_delivered(pushes)
            report = self._report(pushes)
        report.note("seconds until all was said and answered", round(pushed_after))
        report.note("seconds in all", round(time.monotonic() - started))
        return report

    def _state(self) -> str:
        answered = self._answering.accepted_so_far if self._answering else 0
        return (
            f"{len(self._message_numbers)} of {self._plan.pushes} pushes, "
            f"{answered} of {self._plan.sends} answers accepted, "
            f"{len(self._subscribers.receipts)} events delivered, "
            f"{self._mischief.happened.total()} misfortunes"
        )

    # Who listens

    @contextmanager
    def _subscribed(self) -> Iterator[None]:
        """The honest one to all merchants, each of the others to one; removed afterwards."""
        for character in CHARACTERS:
            owner = EVERYONE if character == "honest" else self._new_merchant(character)
            self._owners[character] = owner
            target = {"type": "webhook", "url": self._subscribers.hook(character)}
            order = {"target": target, "event_types": PUSH_TYPES}
            answer = self._api.post(f"/merchants/{owner}/subscriptions", order)
            answer.raise_for_status()
            self._subscribers.secrets[character] = answer.json()["secret"]
            self._subscriptions[character] = answer.json()["subscription_id"]
        time.sleep(5.5)  # for so long a fan-out may remember who else had subscribed to `*`
        self._depth_before = self._depth("DeliveriesQueueUrl")
        self._dead_letters_before = self._depth("DeliveriesDeadLetterQueueUrl")
        try:
            yield
        finally:
            for character, owner in self._owners.items():
                subscription_id = self._subscriptions.get(character)
                self._api.delete(f"/merchants/{owner}/subscriptions/{subscription_id}")

    def _new_merchant(self, character: str) -> str:
        names = {"account_name": f"chaos_{character}_{self._run}", "nickname": "混沌旗舰店"}
        business_id: str = self._simulator.call("POST", "/_sim/merchants", names)["business_id"]
        return business_id

    # The storm

    def _let_it_loose(self) -> None:
        """Pushes and answers at once; the moody subscriber is down in the middle."""
        with ThreadPoolExecutor(CALLERS + 2) as pool:
            answers = pool.submit(self._answer_buyers)
            pool.submit(self._be_moody)
            callers = [pool.submit(self._talk, *share) for share in self._shares()]
            for caller in callers:
                caller.result()
            self._repeat_some()
            self._answers = answers.result()

    def _answer_buyers(self) -> outbound_storm.Reckoning | None:
        if not self._plan.sends:
            return None
        plan = outbound_storm.Plan(
            messages=self._plan.sends,
            conversations=self._plan.answered_conversations,
            kill_worker=self._plan.long,
            minute_limit=self._plan.long,
            patience_seconds=round(self._plan.patience_seconds),
        )
        self._answering = Answers(self._stack, plan)
        return self._answering.run()

    def _be_moody(self) -> None:
        seconds = 30.0 if self._plan.long else 3.0
        time.sleep(seconds)
        self._subscribers.moody_is_down = True
        time.sleep(seconds)
        self._subscribers.moody_is_down = False

    def _shares(self) -> Iterable[tuple[Random, list[Conversation], int]]:
        """For each caller: chances of its own, buyers of its own, and how much to say."""
        merchants = [owner for owner in self._owners.values() if owner != EVERYONE] + ["0"]
        everyone = [
            Conversation(merchants[number % len(merchants)], f"chaos-{self._run}-{number}")
            for number in range(self._plan.conversations)
        ]
        for number in range(CALLERS):
            count = len(range(number, self._plan.pushes, CALLERS))
            chances = Random(f"{self._plan.seed}/{number}")
            yield chances, everyone[number::CALLERS], count

    def _talk(self, chances: Random, buyers: Sequence[Conversation], count: int) -> None:
        """Bursts of one to five messages of one buyer, then another's."""
        while count:
            buyer = chances.choice(buyers)
            for _ in range(min(count, chances.randint(1, 5))):
                self._say(chances, buyer)
                count -= 1

    def _say(self, chances: Random, buyer: Conversation) -> None:
        chance = chances.random()
        kind = "duplicate" if chance < 0.04 else "reorder" if chance < 0.07 else None
        if kind:
            fault = {"kind": kind, "openid": buyer.openid, "times": 1}
            self._simulator.call("POST", "/_sim/faults", fault)
        action = chances.choices(("text", "card"), (9, 1))[0]
        order = {"business_id": buyer.business_id, "format": chances.choice(("xml", "json"))}
        if action == "text":
            order["content"] = f"第{buyer.said}条 👍"
        path = f"/_sim/buyers/{buyer.openid}/{action}"
        outcome = self._simulator.call("POST", path, order)
        with self._lock:
            self._message_numbers[outcome["msg_id"]] = (buyer, buyer.said)
            if outcome.get("held"):
                self._overtaken.add(outcome["msg_id"])
        buyer.said += 1

    def _repeat_some(self) -> None:
        """WeChat repeats what it pushed a while ago, to the letter."""
        records = self._records("pushes")[-500:]
        for record in self._random.sample(records, min(len(records), self._plan.pushes // 20)):
            request = record["request"]
            order = {"query": request["query"], "body_base64": request["body_base64"]}
            headers = {"Content-Type": request["content_type"]}
            self._simulator.call("POST", "/_sim/push-raw", {**order, "headers": headers})

    # The reckoning

    def _records(self, what: str) -> list[dict[str, Any]]:
        """All of the simulator's records of one kind that are about our own buyers."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            page = self._simulator.call("GET", f"/_sim/{what}?after={after}&limit=1000")
            if not page["items"]:
                return found
            found += [one for one in page["items"] if self._run in one["openid"]]
            after = page["next"]

    def _pushes(self) -> dict[str, Pushed]:
        """By event id, once nothing is being pushed any more."""
        self._simulator.call("POST", "/_sim/idle")
        found: dict[str, Pushed] = {}
        for record in self._records("pushes"):
            if record["msg_id"] not in self._message_numbers:
                continue  # of the storm of answers
            buyer, number = self._message_numbers[record["msg_id"]]
            # A try without an answer may still be under way when the next push comes.
            answered = all(attempt["status"] for attempt in record["attempts"])
            push = Pushed(
                event_id=event_id_of(record["fields"]),
                business_id=buyer.business_id,
                openid=buyer.openid,
                number=number,
                acknowledged=record["accepted"],
                ordered=answered and record["msg_id"] not in self._overtaken,
            )
            known = found.get(push.event_id, push)
            found[push.event_id] = replace(
                push,
                acknowledged=push.acknowledged or known.acknowledged,
                ordered=push.ordered and known.ordered,
            )
        return found

    def _wait_until_delivered(self, pushes: dict[str, Pushed]) -> None:
        """Or until patience ends: then the report says what is missing."""
        live = [one for one in CHARACTERS if one not in ("dead", "gone")]

        def all_there() -> bool:
            time.sleep(0.5)
            got = {(one.subscriber, one.event_id) for one in self._subscribers.received()}
            return all((name, one) in got for name in live for one in self._owed(name, pushes))

        patience = min(self._plan.patience_seconds, LONGEST_DRAIN_SECONDS)
        with suppress(NothingFoundError):
            wait_until(all_there, patience, "delivery of every push")
        time.sleep(3)  # what comes twice comes late

    def _report(self, pushes: dict[str, Pushed]) -> Report:
        report = Report()
        report.note("pushes sent in", len(self._message_numbers))
        ours = list(self._explained(pushes))
        reckon_pushes(report, pushes, list(self._audiences(pushes, ours)), ours)
        report.promise("webhooks with a wrong signature", ["forged"] * self._subscribers.forged)
        for queue in ("Inbound", "Outbound"):
            depth = self._depth(f"{queue}DeadLetterQueueUrl")
            report.promise(f"{queue.lower()} dead letters", [queue] * depth)
        if self._answers:
            _note_answers(report, self._answers)
        for name, count in sorted(self._mischief.happened.items()):
            report.note(name, count)
        return report

    def _explained(self, pushes: dict[str, Pushed]) -> Iterator[Receipt]:
        """The receipts of our pushes, with the excuse that a killed worker may give."""
        received = [one for one in self._subscribers.received() if one.event_id in pushes]
        last = {(one.subscriber, one.event_id): one.at for one in received}
        for receipt in received:
            until = last[receipt.subscriber, receipt.event_id]
            yield replace(receipt, excuse=self._excuse(receipt, until))

    def _excuse(self, receipt: Receipt, until: float) -> str:
        """Why the event of `receipt` could come again, and did `until` then."""
        kills = self._mischief.kills
        if any(_ended(kill, receipt) for kill in kills):
            return KILLED
        killed = any(one.function == "Inbound" and receipt.at < one.at < until for one in kills)
        return FORGOTTEN if killed and until - receipt.at >= FORGOTTEN_SECONDS else ""

    def _audiences(
        self, pushes: dict[str, Pushed], receipts: Sequence[Receipt]
    ) -> Iterator[Audience]:
        """All may miss what still waits for them: in their backlog, or with a message in the queue.

        `gone` may also miss what the honest one got after the farewell, and what is a dead letter.
        """
        owed = {name: self._owed(name, pushes) for name in CHARACTERS}
        first: dict[tuple[str, str], float] = {}
        for one in receipts:
            first.setdefault((one.subscriber, one.event_id), one.at)
        missing = {
            name: frozenset(one for one in ids if (name, one) not in first)
            for name, ids in owed.items()
        }
        farewell = self._subscribers.farewell_at or float("inf")
        of_gone = missing.pop("gone")
        excused = {"gone": {one for one in of_gone if first.get(("honest", one), 0) > farewell}}
        dead_letters = self._depth("DeliveriesDeadLetterQueueUrl") - self._dead_letters_before
        waiting = self._depth("DeliveriesQueueUrl") - self._depth_before
        of_its_own = self._backlog_of("gone")
        kept = dead_letters + waiting + of_its_own["waiting"] + of_its_own["dead"]
        if kept >= len(of_gone - excused["gone"]):
            excused["gone"] |= of_gone
        queued = sum(
            max(0, len(ids) - self._backlog_of(name)["waiting"]) for name, ids in missing.items()
        )
        if waiting >= queued:
            excused |= {name: set(ids) for name, ids in missing.items()}
        for name, owner in self._owners.items():
            business_id = None if owner == EVERYONE else owner
            yield Audience(name, business_id, frozenset(excused.get(name, ())))

    def _backlog_of(self, name: str) -> dict[str, int]:
        """How many events are `waiting` for a subscription outside the queue, or `dead` there."""
        path = f"/merchants/{self._owners[name]}/subscriptions/{self._subscriptions[name]}"
        health = self._api.get(path).json()["health"]
        return {fate: int(health[fate]) for fate in ("waiting", "dead")}

    def _owed(self, name: str, pushes: dict[str, Pushed]) -> frozenset[str]:
        owner = self._owners[name]
        return frozenset(
            one.event_id
            for one in pushes.values()
            if one.acknowledged and owner in (EVERYONE, one.business_id)
        )

    def _depth(self, output: str) -> int:
        """How many messages a queue holds, hidden or not."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        answer = aws_client(self._stack, "sqs").get_queue_attributes(
            QueueUrl=self._stack.outputs[output], AttributeNames=[*names]
        )
        return sum(int(answer["Attributes"][name]) for name in names)


def _ended(kill: Kill, receipt: Receipt) -> bool:
    since = kill.at - receipt.at
    return kill.function == "Deliveries" and -0.2 < since < LONGEST_ATTEMPT_SECONDS


def _note_answers(report: Report, answers: outbound_storm.Reckoning) -> None:
    """The outbound storm's own reckoning, in our table."""
    report.note("answers accepted", answers.accepted)
    for state, count in sorted(answers.states.items()):
        report.note(f"answers {state}", count)
    report.note("attempts to send", answers.attempts)
    report.note("calls of WeChat's send", answers.calls)
    report.note("calls for a token", answers.token_calls)
    report.promise("answers without a final state", answers.unsettled)
    report.promise("states that the phones belie", answers.untrue)
    report.promise("at_most_once answers duplicated", answers.duplicated)
    report.promise("at_least_once answers lost", answers.lost)
    report.promise("phones out of order", answers.disordered)
    report.promise("outcomes not told once and truly", answers.untold)
