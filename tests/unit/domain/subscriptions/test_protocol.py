"""Every interleaving of the backlog's protocol, explored on its own code.

Two workers take deliveries and drains, a caller resumes a paused subscription, the sweeper wakes
the drain, time passes, and one worker dies, each at every step. A step is one call of a store or of
the subscriber. A worker between two steps is what its calls so far have answered: its code is run
again with those answers up to the next call. So states can be kept, compared, and gone on from.

What is explored here takes seconds. Larger beginnings take minutes and gigabytes:
`explore(begin_with(1, 2, crashes=1))` 0.8 million states, `begin_with(1, 3, crashes=0)` 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from tests.fake_backlog import InMemoryBacklog, Shelf
from tests.fakes import (
    InMemorySubscriptions,
    RecordingAttempts,
    RecordingDeliveries,
    RecordingEvents,
)
from wechat_kf.app_errors import RetryLater
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import GRACE_MS, Parked
from wechat_kf.domain.subscriptions.courier import Courier
from wechat_kf.domain.subscriptions.delivery import Delivered, Delivery
from wechat_kf.domain.subscriptions.dispatch import Dispatch
from wechat_kf.domain.subscriptions.drain import Drain
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import (
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

KEY = ("42", "sub_1")
NOW = 1_000_000
BUYERS = {1: "a", 2: "a", 3: "b", 4: "b"}

PAUSED = Subscription(
    *KEY,
    Target(TargetType.WEBHOOK, "https://shop.example/"),
    status=SubscriptionStatus.PAUSED,
)


def delivery(number: int) -> Delivery:
    openid = BUYERS[number]
    event = Event(str(number), EventType.MESSAGE_RECEIVED, "wx1", "42", openid, NOW, {})
    return Delivery(*KEY, event, NOW, str(number))


DELIVERIES = {number: delivery(number) for number in BUYERS}
LANES = {
    one.lane: openid for openid in "ab" for one in DELIVERIES.values() if one.event.openid == openid
}
LANE_OF = {openid: lane for lane, openid in LANES.items()}


class Values:
    """Names values by numbers, so that states are small and quickly compared."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values: list[Any] = []

    def number(self, value: Any) -> int:
        text = repr(value)
        if text not in self._numbers:
            self._numbers[text] = len(self._values)
            self._values.append(value)
        return self._numbers[text]

    def value(self, number: int) -> Any:
        return self._values[number]


VALUES = Values()
NOTHING = VALUES.number(None)


class Suspended(BaseException):
    """The code has come to its next call."""


class Run(NamedTuple):
    """What one actor is doing. `answers` is how far it got, `ended` how it ended."""

    kind: str
    what: Any
    started_at: int
    cache: int
    repeated: bool = False
    answers: tuple[int, ...] = ()
    ended: str = ""


class State(NamedTuple):
    """Everything. The queue holds event numbers, in order, those in flight too.

    A worker that is idle is the number of what it remembers.
    """

    row: int = VALUES.number(PAUSED)
    waiting: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()
    events: tuple[int, ...] = ()
    queue: tuple[int, ...] = ()
    received: frozenset[int] = frozenset()
    woken: frozenset[str] = frozenset()
    drain: bool = False
    delivered: tuple[int, ...] = ()
    now: int = NOW
    workers: tuple[Run | int, ...] = (NOTHING, NOTHING)
    resume: Run | bool = False
    crashes_left: int = 0
    pauses_left: int = 0

    @property
    def subscription(self) -> Subscription:
        found: Subscription = VALUES.value(self.row)
        return found

    @property
    def is_over(self) -> bool:
        """All delivered, nothing left anywhere, and direct again."""
        return (
            set(self.delivered) == set(self.events)
            and not (self.queue or self.waiting or self.subscription.parking_since)
            and self.resume is True
            and all(not isinstance(worker, Run) for worker in self.workers)
        )


@dataclass
class World:
    """A state unpacked, with calls that answer from memory, do one thing, and then suspend."""

    state: State
    answers: list[Any]
    steps: int = 1
    position: int = 0
    subscriptions: InMemorySubscriptions = field(default_factory=InMemorySubscriptions)
    delivered: list[int] = field(default_factory=list)
    woken: set[str] = field(default_factory=set)
    drain: bool = False

    def __post_init__(self) -> None:
        self.subscriptions.add(self.state.subscription)
        self.backlog = InMemoryBacklog(self.subscriptions)
        if since := self.state.subscription.parking_since:
            self.backlog._shelves[KEY] = Shelf(since)
        for number in self.state.waiting:
            parked = PARKED[number]
            self.backlog._shelves[KEY].waiting[PLACES[number]] = parked
        self.backlog._done = {(KEY, PLACES[number]) for number in self.state.done}
        self.delivered = list(self.state.delivered)
        self.woken, self.drain = set(self.state.woken), self.state.drain

    def call(self, do: Callable[[], Any]) -> Any:
        self.position += 1
        if self.position <= len(self.answers):
            return self.answers[self.position - 1]
        if not self.steps:
            raise Suspended
        self.steps -= 1
        self.answers.append(do())
        return self.answers[-1]

    def after(self) -> dict[str, Any]:
        """The members of the state that the step has changed."""
        shelf = self.backlog._shelves.get(KEY)
        row = self.subscriptions.get(*KEY)
        assert row
        return {
            "row": VALUES.number(row),
            "waiting": frozenset(NUMBERS[place] for place in (shelf.waiting if shelf else ())),
            "done": frozenset(NUMBERS[place] for _, place in self.backlog._done),
            "delivered": tuple(self.delivered),
            "woken": frozenset(self.woken),
            "drain": self.drain,
        }

    # -- what the code under test calls

    def deliver(self, _subscription: Subscription, event: Event) -> Delivered:
        self.call(lambda: self.delivered.append(int(event.id)))
        return Delivered()

    def wake(self, _key: object, _token: str) -> None:
        self.call(lambda: setattr(self, "drain", True))

    def wake_lanes(self, _key: object, lanes: Sequence[str], _token: str) -> None:
        self.call(lambda: self.woken.update(LANES[lane] for lane in lanes))


class Stepped:
    """A store whose every call is a step."""

    def __init__(self, world: World, inner: Any) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *arguments: self._world.call(lambda: method(*arguments))


def places() -> Iterator[tuple[int, Parked, tuple[str, str]]]:
    for number, one in DELIVERIES.items():
        yield number, Parked.of(one), (one.lane, one.position.zfill(40))


PARKED = {number: parked for number, parked, _ in places()}
PLACES = {number: place for number, _, place in places()}
NUMBERS = {place: number for number, place in PLACES.items()}


STORES = ("row", "waiting", "done", "woken", "drain", "delivered")
_advanced: dict[Any, tuple[dict[str, Any], Run, int]] = {}


def advance(state: State, run: Run) -> tuple[State, Run, int]:
    """One step of a run: the state and the run after it, and what its worker remembers."""
    key = (*(getattr(state, name) for name in STORES), run)
    if key not in _advanced:
        _advanced[key] = step(state, run)
    changes, further, remembered = _advanced[key]
    return state._replace(**changes), further, remembered


def step(state: State, run: Run) -> tuple[dict[str, Any], Run, int]:
    """Run the code again with the answers so far, up to its next call but one."""
    world = World(state, [VALUES.value(number) for number in run.answers])
    clock = lambda: run.started_at  # noqa: E731
    store = Stepped(world, world.subscriptions)
    memory = SubscriptionMemory(store, clock)
    if held := VALUES.value(run.cache):
        memory._rows._held[KEY] = held
    backlog: Any = Stepped(world, world.backlog)
    courier = Courier(
        subscriptions=memory,
        subscribers={TargetType.WEBHOOK: world},
        events=RecordingEvents(),
        attempts=RecordingAttempts(),
        clock=clock,
        app_id="wx1",
    )
    kind, what, ended = run.kind, run.what, ""
    try:
        if kind == "deliver":
            dispatch = Dispatch(memory, courier, backlog, world, clock)
            dispatch.dispatch(DELIVERIES[what], repeated=run.repeated)
        elif kind == "lane":
            Drain(memory, courier, backlog, world, clock).drain_lane(KEY, LANE_OF[what])
        elif kind == "drain":
            Drain(memory, courier, backlog, world, clock).drain(KEY, run.started_at + GRACE_MS)
        else:
            line = RecordingDeliveries()
            manager = SubscriptionManager(
                store,
                line,
                backlog,
                world,
                RecordingAttempts(),
                clock,
                "wx1",
            )
            manager.change(*KEY, status=SubscriptionStatus.ACTIVE)
        ended = "returned"
    except Suspended:
        pass
    except RetryLater:
        ended = "postponed"
    answers = tuple(VALUES.number(answer) for answer in world.answers)
    remembered = VALUES.number(memory._rows._held.get(KEY))
    return world.after(), run._replace(answers=answers, ended=ended), remembered


def successors(state: State) -> Iterator[State]:
    for number, worker in enumerate(state.workers):
        if number and worker == state.workers[0]:
            continue  # the same as the other
        if isinstance(worker, Run):
            yield from go_on(state, number, worker)
        else:
            yield from begin(state, number, worker)
    if state.pauses_left:
        yield state._replace(now=state.now + GRACE_MS, pauses_left=state.pauses_left - 1)
    if not state.drain and state.subscription.parking_since:
        yield state._replace(drain=True)  # the sweeper, once a minute
    if state.resume is not True:
        resume = state.resume or Run("resume", None, state.now, NOTHING)
        after, run, _ = advance(state, resume)
        yield after._replace(resume=True if run.ended else run)


def begin(state: State, number: int, cache: int) -> Iterator[State]:
    """A worker takes the next message of a group that nobody is working on."""
    busy = {(run.kind, run.what) for run in state.workers if isinstance(run, Run)}
    lanes_busy = {BUYERS[what] for kind, what in busy if kind == "deliver"}
    for buyer in "ab":
        heads = [one for one in state.queue if BUYERS[one] == buyer]
        if heads and buyer not in lanes_busy:
            run = Run("deliver", heads[0], state.now, cache, heads[0] in state.received)
            yield take_step(state._replace(received=state.received | {heads[0]}), number, run)
        if buyer in state.woken and ("lane", buyer) not in busy:
            yield take_step(state, number, Run("lane", buyer, state.now, cache))
    if state.drain and ("drain", None) not in busy:
        yield take_step(state, number, Run("drain", None, state.now, cache))


def go_on(state: State, number: int, run: Run) -> Iterator[State]:
    if state.crashes_left:
        crashed = state._replace(crashes_left=state.crashes_left - 1)
        yield with_worker(crashed, number, NOTHING)
    if not run.ended:
        yield take_step(state, number, run)
        return
    if run.ended == "returned":
        if run.kind == "deliver":
            queue = tuple(one for one in state.queue if one != run.what)
            state = state._replace(queue=queue)
        elif run.kind == "lane":
            state = state._replace(woken=state.woken - {run.what})
        else:
            state = state._replace(drain=False)
    yield with_worker(state, number, run.cache)


def take_step(state: State, number: int, run: Run) -> State:
    after, further, remembered = advance(state, run)
    cache = remembered if further.ended else run.cache
    return with_worker(after, number, further._replace(cache=cache))


def with_worker(state: State, number: int, worker: Run | int) -> State:
    workers = list(state.workers)
    workers[number] = worker
    # Workers are alike: which of them does what makes no difference.
    return state._replace(workers=tuple(sorted(workers, key=str)))


def broken(state: State) -> str:
    """What must never be: an event before an earlier one of its buyer; one that is nowhere."""
    first = list(dict.fromkeys(state.delivered))
    for buyer in "ab":
        mine = [one for one in first if BUYERS[one] == buyer]
        if mine != [one for one in state.events if BUYERS[one] == buyer][: len(mine)]:
            return f"overtaken: {state.delivered}"
    lost = set(state.events) - set(state.queue) - state.waiting - set(state.delivered)
    if lost:
        return f"lost: {lost}"
    if state.waiting and not state.subscription.parking_since:
        return "waiting, and direct"
    return ""


def explore(start: State) -> tuple[int, int]:
    """Visit all states reachable from `start`; return how many there are, and how many steps.

    None of them is broken, and each can come to its end.
    """
    _advanced.clear()
    before: dict[State, list[State]] = {start: []}
    frontier, steps = [start], 0
    while frontier:
        state = frontier.pop()
        for after in successors(state):
            steps += 1
            if after not in before:
                before[after] = []
                assert not broken(after), (broken(after), after)
                frontier.append(after)
            before[after].append(state)
    ends = [state for state in before if state.is_over]
    alive = set(ends)
    while ends:
        for earlier in before[ends.pop()]:
            if earlier not in alive:
                alive.add(earlier)
                ends.append(earlier)
    stuck = [state for state in before if state not in alive]
    assert not stuck, (len(stuck), stuck[0])
    return len(before), steps


def begin_with(*events: int, crashes: int, pauses: int = 2) -> State:
    """A paused subscription, and these events in the queue."""
    return State(events=events, queue=events, crashes_left=crashes, pauses_left=pauses)


@pytest.mark.parametrize(
    ("start", "least"),
    [
        pytest.param(begin_with(1, crashes=1), 10_000, id="one event, a crash"),
        pytest.param(begin_with(1, 2, crashes=0), 100_000, id="two events of a buyer"),
    ],
)
def test_nothing_is_lost_or_overtaken_and_the_drain_ends_in_every_reachable_state(
    start: State, least: int
) -> None:
    states, steps = explore(start)
    print(f"{states} states, {steps} steps")
    assert states > least


def test_the_exploration_notices_a_worker_that_does_not_look_at_the_lane(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Dispatch, "_must_park", lambda _self, found, _one: not found.is_active)
    with pytest.raises(AssertionError, match="overtaken"):
        explore(begin_with(1, 2, crashes=0))
