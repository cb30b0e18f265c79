"""A storm in one process and in simulated time: the same seed is the same storm, step by step.

The layer's own code, from the push opener to the dispatch and the sending, stands on fakes of the
tables and queues, every call of which can crash the worker, be refused, or be done with its answer
lost. WeChat is the simulator's rules. Workers run one batch at a time: races between two of them
are for the contract tests and for the storm on the deployed stack.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from tests.chaos.bundle import Bundle
from tests.chaos.hooks import CHARACTERS, Hooks
from tests.chaos.progress import Tell, silently, telling
from tests.chaos.reckoning import (
    FORGOTTEN,
    Answered,
    Audience,
    Pushed,
    Receipt,
    Report,
    reckon_answers,
    reckon_pushes,
)
from tests.chaos.sqs import DEDUPLICATION_MS
from tests.chaos.timeline import Timeline
from tests.chaos.weather import Crash, Weather
from tests.chaos.wechat_side import FAULTS, SEND_PATHS, Pushes, PushOrder, merchants
from tests.fakes import FakeClock
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import DAY, HOUR, MINUTE, SECOND
from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.message import Guarantee, OutboundMessage
from wechat_kf.domain.subscriptions.subscription import Subscription, Target, TargetType
from wechat_kf_local.simulator.rules.clock import Clock
from wechat_kf_local.simulator.settings import Settings
from wechat_kf_local.simulator.world import World

GIVEN_UP = ("dead", "gone")
"""Characters whose events may still wait at the end."""

CLOSED = (45015, 45047)
"""WeChat's window or allowance is over: no later attempt can succeed."""

MAIN_SHARE = 0.05
"""Of the conversations, those with the main account: nobody but `*` subscribes to them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a storm. `crash`, `refusal` and `lost_answer` are chances per step."""

    seed: int = 1
    pushes: int = 100_000
    sends: int = 20_000
    conversations: int = 1_000
    per_second: int = 50
    token_kills: int = 20
    crash: float = 0.002
    refusal: float = 0.005
    lost_answer: float = 0.002


@dataclass(frozen=True, slots=True)
class Question:
    """An answer a merchant wants to give: one per conversation is on its way to us at a time."""

    business_id: str
    openid: str
    number: int

    @property
    def text(self) -> str:
        return f"{self.business_id}#{self.openid} {self.number}"

    @property
    def guarantee(self) -> Guarantee:
        return Guarantee.AT_LEAST_ONCE if self.number % 3 == 2 else Guarantee.AT_MOST_ONCE

    def ask(self, acceptance: Acceptance) -> OutboundMessage:
        content = {"type": "text", "text": self.text}
        draft = OutboundMessage(self.business_id, self.openid, content, self.guarantee)
        return acceptance.accept(draft, self.text)


class Platform:
    """The callers of our API: they repeat a call, with its key, until it is answered."""

    def __init__(self, timeline: Timeline, bundle: Bundle) -> None:
        self._timeline = timeline
        self._bundle = bundle
        self._function = bundle.acceptance()
        self._waiting: dict[tuple[str, str], deque[Question]] = defaultdict(deque)
        self._numbers: dict[tuple[str, str], int] = defaultdict(int)
        self.accepted: dict[str, Question] = {}  # by message id

    def answer(self, business_id: str, openid: str) -> None:
        conversation = (business_id, openid)
        question = Question(business_id, openid, self._numbers[conversation])
        self._numbers[conversation] += 1
        self._waiting[conversation].append(question)
        if len(self._waiting[conversation]) == 1:
            self._post(conversation)

    def _post(self, conversation: tuple[str, str]) -> None:
        waiting = self._waiting[conversation]
        question = waiting[0]
        try:
            message = question.ask(self._function)
        except (Crash, UnavailableError) as error:
            if isinstance(error, Crash):
                self._function = self._bundle.acceptance()
            self._timeline.after(SECOND, lambda: self._post(conversation))
            return
        self.accepted[message.message_id] = question
        waiting.popleft()
        self._timeline.clock.advance(1)  # whoever waits for an answer posts the next one later
        if waiting:
            self._timeline.after(100, lambda: self._post(conversation))


class Storm:
    """One storm, from its plan to its report."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = Random(plan.seed)
        self._clock = FakeClock()
        self._start = self._clock()
        self._timeline = Timeline(self._clock)
        self._world = World.create(
            Settings(), clock=Clock(lambda: self._clock() / SECOND), seed=plan.seed
        )
        self._weather = Weather(
            Random(plan.seed + 1),
            crash=plan.crash,
            refusal=plan.refusal,
            lost_answer=plan.lost_answer,
        )
        self._hooks = Hooks(self._clock, Random(plan.seed + 2))
        self._bundle = Bundle(self._timeline, self._world, self._weather, self._hooks)
        self._platform = Platform(self._timeline, self._bundle)
        self._pushes = Pushes(self._world, self._timeline, self._bundle.receiver, self._random)
        self._merchants = merchants(self._world, len(CHARACTERS))
        self._orders: list[PushOrder] = []

    def run(self, tell: Tell = silently) -> Report:
        self._subscribe()
        for number, fault in enumerate(FAULTS):
            order = {**fault, "match": SEND_PATHS, "seed": self._plan.seed + number}
            self._world.faults.add(order)
        self._write_the_script()
        self._timeline.after(MINUTE, self._sweep)
        with telling(tell, self._state):
            self._timeline.run(until=self._start + 3 * DAY)
        return self._report()

    def _state(self) -> str:
        minutes = (self._clock() - self._start) // MINUTE
        return (
            f"simulated minute {minutes}: {self._pushes.tries} tries to push, "
            f"{len(self._hooks.receipts)} events delivered, "
            f"{len(self._platform.accepted)} of {self._plan.sends} answers accepted"
        )

    # The script

    def _subscribe(self) -> None:
        """The honest one to all merchants, each of the others to one."""
        for character, business_id in self._owners():
            self._bundle.subscriptions.add(
                Subscription(
                    business_id,
                    character,
                    Target(TargetType.WEBHOOK, "https://hooks.test/"),
                    created_at=self._start,
                )
            )

    def _owners(self) -> Iterator[tuple[str, str]]:
        yield CHARACTERS[0], ANY_MERCHANT
        yield from zip(CHARACTERS[1:], self._merchants, strict=False)

    def _write_the_script(self) -> None:
        random, plan = self._random, self._plan
        conversations = [self._new_conversation(n) for n in range(plan.conversations)]
        answered = set(random.sample(range(plan.pushes), plan.sends))
        numbers: dict[tuple[str, str], int] = defaultdict(int)
        at, conversation = self._start, conversations[0]
        for number in range(plan.pushes):
            burst = random.random() < 0.3  # the same buyer at once again
            conversation = conversation if burst else random.choice(conversations)
            at += 1 if burst else round(random.expovariate(plan.per_second / SECOND)) + 1
            order = self._new_order(conversation, numbers[conversation])
            numbers[conversation] += 1
            self._orders.append(order)
            self._timeline.at(at, partial(self._pushes.push, order))
            if number in answered:
                later = at + random.randint(200, 20 * SECOND)
                self._timeline.at(later, partial(self._platform.answer, *conversation))
        span = at - self._start
        for _ in range(plan.token_kills):
            self._timeline.at(self._start + random.randint(0, span), self._kill_tokens)
        self._hooks.moody_from = self._start + span // 4
        self._hooks.moody_until = self._start + span // 2
        self._script_ends = at

    def _new_conversation(self, number: int) -> tuple[str, str]:
        main = self._random.random() < MAIN_SHARE
        return MAIN_ACCOUNT if main else self._random.choice(self._merchants), f"o{number:027d}"

    def _new_order(self, conversation: tuple[str, str], number: int) -> PushOrder:
        chance = self._random.random()
        copies: tuple[int, ...] = ()
        if chance < 0.03:
            copies = tuple(self._random.randint(0, 200 * SECOND) for _ in range(2))
        return PushOrder(
            *conversation,
            number,
            event=self._random.random() < 0.05,
            held_ms=self._random.randint(1, 10_000) if chance > 0.98 else 0,
            copies=copies,
        )

    def _kill_tokens(self) -> None:
        self._world.tokens.kill()

    def _sweep(self) -> None:
        self._bundle.wake_drains()
        self._bundle.sweep()
        busy = self._clock() < self._script_ends + HOUR or len(self._bundle.outbound)
        if busy or self._unsettled() or self._bundle.backlog.parked_subscriptions():
            self._timeline.after(MINUTE, self._sweep)

    def _unsettled(self) -> bool:
        return any(self._bundle.messages.list_due(now=self._clock() + DAY))

    # The reckoning

    def _report(self) -> Report:
        report = Report()
        report.note("pushes sent in", len(self._orders))
        reckon_pushes(report, self._pushed(), list(self._audiences()), self._receipts())
        reckon_answers(report, list(self._answers()), self._phones())
        bundle = self._bundle
        queues = (bundle.inbound, bundle.deliveries, bundle.outbound)
        report.promise("genuine pushes refused", self._pushes.refused)
        report.promise(
            "failures nobody foresaw",
            [name for one in bundle.consumers for name in one.unexpected],
        )
        report.promise(
            "messages that became poison or stayed",
            [queue.url for queue in queues for _ in [*queue.poison, *queue.bodies()]],
        )
        report.note("tries of WeChat's to push", self._pushes.tries)
        for name, count in sorted(self._weather.happened.items()):
            report.note(name, count)
        report.note("calls of WeChat's API", self._world.records.counted("calls"))
        report.note("simulated minutes", (self._clock() - self._start) // MINUTE)
        return report

    def _pushed(self) -> dict[str, Pushed]:
        """By event id; entering twice within a second is one event to WeChat, and to us."""
        found: dict[str, Pushed] = {}
        for order in self._orders:
            pushed = Pushed(
                order.event_id,
                order.business_id,
                order.openid,
                order.number,
                acknowledged=order.acknowledged,
                ordered=order.at_first_try and not order.held_ms,
            )
            found.setdefault(order.event_id, pushed)
        return found

    def _receipts(self) -> Iterator[Receipt]:
        """With the excuse of those that were fanned out again beyond SQS's five minutes."""
        spans = self._bundle.fan_outs
        for receipt in self._hooks.receipts:
            first, last = spans[receipt.event_id]
            forgotten = not receipt.excuse and last - first >= DEDUPLICATION_MS
            yield replace(receipt, excuse=FORGOTTEN) if forgotten else receipt

    def _audiences(self) -> Iterator[Audience]:
        for character, business_id in self._owners():
            backlog, key = self._bundle.backlog, (business_id, character)
            dead = frozenset(name for name, _ in backlog.dead(key))
            if character in GIVEN_UP:
                dead |= frozenset(backlog.waiting_ids(key))
            if character == "gone":
                dead |= self._after_the_farewell()
            yield Audience(character, None if business_id == ANY_MERCHANT else business_id, dead)

    def _after_the_farewell(self) -> frozenset[str]:
        """What the honest one first got after it: fanned out when the other was gone already."""
        if not self._hooks.farewell_at:
            return frozenset()
        receipts = self._hooks.receipts
        before = {
            one.event_id
            for one in receipts[: self._hooks.farewell_at]
            if one.subscriber == "honest"
        }
        return frozenset(one.event_id for one in receipts) - before

    def _answers(self) -> Iterator[Answered]:
        for message_id, question in self._platform.accepted.items():
            message = self._bundle.messages.get(question.business_id, message_id)
            yield Answered(
                question.text,
                question.openid,
                question.business_id,
                question.number,
                at_least_once=question.guarantee is Guarantee.AT_LEAST_ONCE,
                state=str(message.status) if message else "absent",
                told=list(self._hooks.told[message_id].values()),
                refused=bool(message and message.failure and message.failure.errcode in CLOSED),
            )

    def _phones(self) -> Iterable[tuple[str, str]]:
        for shown in self._world.records.deliveries:
            yield f"{shown['business_id']}#{shown['openid']}", shown["content"]["content"]


def run(plan: Plan, tell: Tell = silently) -> Report:
    """Run a storm in process."""
    return Storm(plan).run(tell)
