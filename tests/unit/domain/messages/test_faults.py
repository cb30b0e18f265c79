"""Every fault and every pair of faults at every step of a send: none lost, doubled, misreported.

A step is a call of the store, of a queue or of WeChat. It fails before it is done, is done and its
answer is lost, or is done and the process ends there. The caller does what the answer advises
(docs/sending.md, "After an error"), and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, TypeVar

import pytest

from tests.fakes import FakeClock, InMemoryMessages
from wechat_kf.app_errors import NotFoundError, RetryLater, UnavailableError
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import Event
from wechat_kf.domain.messages.acceptance import Acceptance, AcceptanceUncertainError
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.message import (
    Failure,
    Guarantee,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Unknown,
    Wait,
)
from wechat_kf.domain.messages.sweeper import Sweeper

T = TypeVar("T")
APP_ID = "wx0123456789abcdef"
CLOSED = NotSent(Failure("window_closed", "closed", 45015))
UNREACHABLE = NotSent(Failure("wechat_unreachable", "no connection"), Wait.SHORT)
CUT = Unknown(Failure("wechat_did_not_answer", "no answer"))

KINDS = ("before", "lost", "kill")
Plan = dict[int, str]
"""Which step fails, and how."""

READS = {"get", "list_unsettled", "find_key", "list_due"}


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Faults:
    """Counts the steps, and lets those of the plan fail."""

    plan: Plan
    steps: int = 0

    def step(self, do: Callable[[], T], *, fails: bool = True) -> T:
        kind = self.plan.get(self.steps)
        self.steps += 1
        if kind == "before" and fails:
            raise UnavailableError("not done")
        result = do()
        if kind == "lost" and fails:
            raise UnavailableError("done, and the answer is lost")
        if kind == "kill":
            raise Killed
        return result


class FaultyStore:
    """The store in memory, behind a network."""

    def __init__(self, store: InMemoryMessages, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        return lambda *args, **given: self._faults.step(lambda: method(*args, **given))


@dataclass
class Queue:
    """The outbound queue: one group, whose first message holds up the others."""

    faults: Faults
    clock: FakeClock
    line: list[tuple[int, tuple[str, str]]] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)

    def put(self, message: OutboundMessage) -> None:
        def line_up() -> None:
            name = f"{message.message_id}|{message.expires_at}"
            if self.clock() - self.seen.get(name, 0) >= 5 * MINUTE:
                self.seen[name] = self.clock()
                self.line.append((0, (message.business_id, message.message_id)))

        self.faults.step(line_up)


@dataclass
class Events:
    """Takes the outcomes, one per id."""

    faults: Faults
    published: dict[str, tuple[str, str]] = field(default_factory=dict)

    def put(self, event: Event) -> None:
        outcome = (event.data["message_id"], event.data["status"])
        self.faults.step(lambda: self.published.setdefault(event.id, outcome))


@dataclass
class Phone:
    """WeChat, and what the buyer got. A call ends with its outcome, or with the worker."""

    faults: Faults
    script: list[Outcome]
    texts: list[str] = field(default_factory=list)

    def send(self, message: OutboundMessage) -> Outcome:
        outcome = self.script.pop(0) if self.script else Sent()

        def call() -> Outcome:
            if isinstance(outcome, Sent):
                self.texts.append(message.content["text"])
            return outcome

        return self.faults.step(call, fails=False)


class Run:
    """One send, or several of one conversation, from the caller to the last event."""

    def __init__(self, plan: Plan, guarantee: Guarantee, script: list[Outcome], key: bool) -> None:
        self.clock = FakeClock()
        self.faults = Faults(plan)
        self.rows = InMemoryMessages(30, self.clock)
        self.queue = Queue(self.faults, self.clock)
        self.events = Events(self.faults)
        self.phone = Phone(self.faults, script)
        self.guarantee = guarantee
        self.key = key
        store: Any = FaultyStore(self.rows, self.faults)
        self.acceptance = Acceptance(store, self.queue, self.clock, 15 * MINUTE, lambda *_: None)
        self.worker = Attempt(store, self.phone, self.events, self.clock, APP_ID, lambda *_: None)
        self.sweeper = Sweeper(
            store,
            self.queue,
            self.events,
            self.clock,
            APP_ID,
            report=lambda *_: None,
            report_error=lambda *_: None,
        )

    # -- the caller

    def ask(self, text: str) -> None:
        """Send a text as the documents advise, until it is known to be accepted."""
        while not self._post(text):
            self.clock.advance(2 * SECOND)
        self.clock.advance(1)

    def _post(self, text: str) -> bool:
        """Make one call; return whether the message is accepted."""
        draft = OutboundMessage("42", "buyer", {"type": "text", "text": text}, self.guarantee)
        try:
            self.acceptance.accept(draft, f"key of {text}" if self.key else None)
        except AcceptanceUncertainError as error:
            return not self.key and self._is_stored(str(error.members["message_id"]))
        except UnavailableError:
            return False  # nothing is stored
        except Killed:
            return not self.key and self._is_in_transcript(text)
        return True

    def _is_stored(self, message_id: str) -> bool:
        while True:
            try:
                self.acceptance.get("42", message_id)
            except NotFoundError:
                return False
            except (UnavailableError, Killed):
                continue
            return True

    def _is_in_transcript(self, text: str) -> bool:
        page = self.rows.transcript("42", "buyer", limit=100, cursor=None)
        return text in [entry.content["text"] for entry in page.items]

    # -- the stack

    def finish(self) -> None:
        """Let the queue and the sweeper do their work until nothing is left to do."""
        end = self.clock() + 2 * 60 * MINUTE
        sweep_at = self.clock() + MINUTE
        while self.clock() < end and (self.queue.line or any(self.rows.list_due(now=end))):
            next_at = min(sweep_at, self.queue.line[0][0] if self.queue.line else sweep_at)
            self.clock.now = max(self.clock(), next_at)
            if self.clock() >= sweep_at:
                sweep_at += MINUTE
                self._sweep()
            elif self.queue.line:
                self._hand_out()

    def _sweep(self) -> None:
        try:
            self.sweeper.sweep()
        except (UnavailableError, Killed):
            return

    def _hand_out(self) -> None:
        _, names = self.queue.line[0]
        try:
            self.worker.attempt(*names)
        except RetryLater as later:
            self._hide(later.delay_ms)
        except UnavailableError:
            self._hide(5 * SECOND)
        except Killed:
            self._hide(3 * MINUTE)
        else:
            self.queue.line.pop(0)

    def _hide(self, delay_ms: int) -> None:
        self.queue.line[0] = (self.clock() + delay_ms, self.queue.line[0][1])

    # -- the reckoning

    def violations(self) -> Iterator[str]:
        texts = self.phone.texts
        rows = list(self.rows._messages.values())
        if len({row.content["text"] for row in rows}) < len(rows):
            yield "stored twice"
        if self.guarantee is Guarantee.AT_MOST_ONCE and len(set(texts)) < len(texts):
            yield "sent twice"
        if list(dict.fromkeys(texts)) != sorted(set(texts)):
            yield "out of order"
        for row in rows:
            reported = {
                status for name, status in self.events.published.values() if name == row.message_id
            }
            received = row.content["text"] in texts
            if not row.status.settled:
                yield "never settled"
            elif reported != {str(row.status)}:
                yield f"{row.status}, reported as {sorted(reported)}"
            if row.status is Status.FAILED and received:
                yield "failed, and received"
            if row.status is Status.SENT and not received:
                yield "sent, and not received"


def run(
    plan: Plan, guarantee: Guarantee, script: list[Outcome], *, key: bool, texts: str = "1"
) -> Run:
    made = Run(plan, guarantee, list(script), key)
    for text in texts:
        made.ask(text)
    made.finish()
    return made


def plans(steps: int) -> Iterator[Plan]:
    """No fault, every single one, and every pair; a fault may make some steps more."""
    numbers = range(steps + 4)
    yield {}
    yield from ({at: kind} for at in numbers for kind in KINDS)
    for (first, second), kinds in product(combinations(numbers, 2), product(KINDS, KINDS)):
        yield dict(zip((first, second), kinds, strict=True))


SCRIPTS: dict[str, list[Outcome]] = {
    "sent": [],
    "unreachable": [UNREACHABLE],
    "unknown": [CUT],
    "refused": [CLOSED],
}


@pytest.mark.parametrize("key", [False, True], ids=["no key", "key"])
@pytest.mark.parametrize("guarantee", list(Guarantee))
@pytest.mark.parametrize("outcome", SCRIPTS)
def test_no_pair_of_faults_loses_doubles_or_misreports_a_message(
    outcome: str, guarantee: Guarantee, key: bool
) -> None:
    script = SCRIPTS[outcome]
    steps = run({}, guarantee, script, key=key).faults.steps
    for plan in plans(steps):
        made = run(plan, guarantee, script, key=key)
        assert list(made.violations()) == [], plan
        assert len(made.rows._messages) == 1, plan


@pytest.mark.parametrize("key", [False, True], ids=["no key", "key"])
def test_no_pair_of_faults_changes_the_order_of_a_conversation(key: bool) -> None:
    guarantee = Guarantee.AT_MOST_ONCE
    steps = run({}, guarantee, [], key=key, texts="123").faults.steps
    for plan in plans(steps):
        made = run(plan, guarantee, [], key=key, texts="123")
        assert list(made.violations()) == [], plan
        assert len(made.rows._messages) == 3, plan


@pytest.mark.parametrize("key", [False, True], ids=["no key", "key"])
@pytest.mark.parametrize("outcome", SCRIPTS)
def test_a_message_whose_place_in_the_queue_is_lost_is_settled_and_published(
    outcome: str, key: bool
) -> None:
    """Purged, discarded or dead-lettered: the sweeper alone goes on with it."""
    script, guarantee = SCRIPTS[outcome], Guarantee.AT_MOST_ONCE
    for lost_after in range(2):
        steps = run({}, guarantee, script, key=key).faults.steps
        for plan in plans(steps + 4):
            made = Run(plan, guarantee, list(script), key)
            made.ask("1")
            for _ in range(lost_after):
                if made.queue.line:
                    made._hand_out()
            made.queue.line.clear()
            made.finish()
            published_late = lost_after and not made.events.published
            found = [] if published_late else list(made.violations())
            assert found == [], plan
