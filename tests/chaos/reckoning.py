"""The reckoning after a storm: what was promised against what the other side saw."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ASKED = "the subscriber asked for"
KILLED = "after a killed delivery"
FORGOTTEN = "after a fan-out that failed for over five minutes"
"""Why an event comes to a subscriber again, under the same id. The second: the worker was killed
between the subscriber's answer and the queue's knowing it. The third: the inbound queue's worker
failed after the fan-out, and again and again until SQS had forgotten the deduplication id."""

EXCUSES = (ASKED, KILLED, FORGOTTEN)

SHOWN_IDS = 5
"""Offending ids a report names for each broken promise."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """One event WeChat pushed. `number` is its place in its conversation.

    `acknowledged`: WeChat got `success` for one of its tries. `ordered` is False when WeChat itself
    mixed the order up, so that nobody can promise it.
    """

    event_id: str
    business_id: str
    openid: str
    number: int
    acknowledged: bool
    ordered: bool = True


@dataclass(frozen=True, slots=True)
class Receipt:
    """A subscriber had an event in its hands, at `at` (any unit).

    `accepted` is its answer: False for one that took the event and then said that it had not.
    `excuse` says why it may come again all the same, such as `KILLED`.
    """

    subscriber: str
    event_id: str
    at: float
    accepted: bool
    excuse: str = ""


@dataclass(frozen=True, slots=True)
class Audience:
    """A subscriber, and what it must have been given.

    `business_id` None: all merchants. `excused` are events it need not have: given up by the rules
    (dead-lettered) or still waiting for it, as the queues themselves say.
    """

    name: str
    business_id: str | None = None
    excused: frozenset[str] = frozenset()

    def wants(self, push: Pushed) -> bool:
        return self.business_id in (None, push.business_id)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a buyer: what was asked of us, and what our records say became of it."""

    text: str
    openid: str
    business_id: str
    number: int
    at_least_once: bool
    state: str
    told: Sequence[str]
    """The states that subscribers were told, one per event id."""
    refused: bool = False
    """WeChat's last word was a refusal for good: its window was closed, its allowance used up."""


@dataclass(slots=True)
class Report:
    """Counts in the order they were noted, and the ids that break a promise."""

    counts: dict[str, int | str] = field(default_factory=dict)
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether every promise was."""
        return not any(self.broken.values())

    def note(self, name: str, count: int | str) -> None:
        self.counts[name] = count

    def promise(self, name: str, offenders: Iterable[str]) -> None:
        """A row that must be 0."""
        self.broken[name] = list(offenders)

    def table(self) -> str:
        """Both as a Markdown table; a broken promise with its first offenders."""
        rows = ["| what | count |", "|---|---:|"]
        rows += [f"| {name} | {count} |" for name, count in self.counts.items()]
        rows += [f"| **{name}** (must be 0) | {len(ids)} |" for name, ids in self.broken.items()]
        return "\n".join(rows)

    def offenders(self) -> str:
        """One line per broken promise; empty when all were kept."""
        return "\n".join(
            f"{name}: {', '.join(ids[:SHOWN_IDS])}{' …' if len(ids) > SHOWN_IDS else ''}"
            for name, ids in self.broken.items()
            if ids
        )


def reckon_pushes(
    report: Report,
    pushes: Mapping[str, Pushed],
    audiences: Sequence[Audience],
    receipts: Iterable[Receipt],
) -> None:
    """No acknowledged push is lost, repeated under its id, or out of order in its conversation."""
    by_audience: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        by_audience[receipt.subscriber].append(receipt)
    accounts = [_Account(one, pushes, by_audience[one.name]) for one in audiences]

    def gathered(ids: Callable[[_Account], Iterable[str]]) -> list[str]:
        return [f"{one.audience.name}/{name}" for one in accounts for name in ids(one)]

    report.note("events in them", len(pushes))
    report.note("events acknowledged", sum(push.acknowledged for push in pushes.values()))
    report.note("deliveries owed", sum(len(one.owed) for one in accounts))
    report.note("delivered", sum(len(one.owed & one.received) for one in accounts))
    for one in accounts:
        if one.excused:
            report.note(f"waiting or given up by the rules: {one.audience.name}", len(one.excused))
    repeats = Counter(excuse for one in accounts for excuse, _ in one.repeats)
    for excuse in EXCUSES:
        report.note(f"repeats {excuse}", repeats[excuse])
    report.promise("pushes lost", gathered(lambda one: sorted(one.lost)))
    report.promise(
        "deliveries duplicated under one id",
        gathered(lambda one: [name for excuse, name in one.repeats if not excuse]),
    )
    report.promise("conversations out of order", gathered(lambda one: one.disordered))
    report.promise("events nobody pushed", gathered(lambda one: sorted(one.invented)))


class _Account:
    """One subscriber's side of it."""

    def __init__(
        self, audience: Audience, pushes: Mapping[str, Pushed], receipts: Sequence[Receipt]
    ) -> None:
        self.audience = audience
        self._pushes = pushes
        self._receipts: dict[str, list[Receipt]] = defaultdict(list)
        for receipt in sorted(receipts, key=lambda one: one.at):
            self._receipts[receipt.event_id].append(receipt)
        self.owed = {
            one.event_id for one in pushes.values() if one.acknowledged and audience.wants(one)
        }
        self.received = set(self._receipts)
        self.excused = (self.owed - self.received) & audience.excused
        self.lost = self.owed - self.received - self.excused
        self.invented = self.received - set(pushes)
        self.repeats = list(self._all_repeats())
        self.disordered = sorted(self._all_disordered())

    def _all_repeats(self) -> Iterator[tuple[str, str]]:
        """(why, event id) of every delivery after an event's first; no why is a broken promise."""
        for event_id, receipts in self._receipts.items():
            for before in receipts[:-1]:
                yield before.excuse if before.accepted else ASKED, event_id

    def _all_disordered(self) -> set[str]:
        """Conversations whose events first arrived in another order than WeChat was answered in."""
        last: dict[tuple[str, str], int] = {}
        found = set()
        for event_id in self._receipts:  # by their first receipt
            push = self._pushes.get(event_id)
            if push is None or not push.acknowledged or not push.ordered:
                continue
            conversation = (push.business_id, push.openid)
            if push.number < last.get(conversation, -1):
                found.add("#".join(conversation))
            last[conversation] = push.number
        return found


def reckon_answers(
    report: Report, answers: Sequence[Answered], phones: Iterable[tuple[str, str]]
) -> None:
    """Final states agree with the phones, order is kept, none twice, none lost.

    `phones` are (conversation, text) in the order in which they were shown.
    """
    shown: Counter[str] = Counter()
    order: dict[str, list[str]] = defaultdict(list)
    for conversation, text in phones:
        shown[text] += 1
        order[conversation].append(text)
    report.note("answers accepted", len(answers))
    states = Counter(
        f"answers {one.state}, {'at_least_once' if one.at_least_once else 'at_most_once'}"
        for one in answers
    )
    for name in sorted(states):
        report.note(name, states[name])
    unsettled = [one.text for one in answers if one.state not in ("sent", "failed", "unknown")]
    report.promise("answers without a final state", unsettled)
    report.promise(
        "states that the phones belie",
        [one.text for one in answers if _lies(one, shown[one.text])],
    )
    report.promise(
        "at_most_once answers duplicated",
        [one.text for one in answers if not one.at_least_once and shown[one.text] > 1],
    )
    report.promise(
        "at_least_once answers lost",
        [one.text for one in answers if one.at_least_once and _lost(one, shown[one.text])],
    )
    report.promise("phones out of order", _disordered(order, answers))
    report.promise(
        "outcomes not told once and truly",
        [one.text for one in answers if list(one.told) != [one.state]],
    )


def _lies(answer: Answered, shown: int) -> bool:
    return (answer.state == "sent" and not shown) or (answer.state == "failed" and shown > 0)


def _lost(answer: Answered, shown: int) -> bool:
    """Neither shown nor refused by WeChat: a gap where the caller had asked for a duplicate."""
    return not shown and answer.state != "failed" and not answer.refused


def _disordered(order: Mapping[str, Sequence[str]], answers: Sequence[Answered]) -> list[str]:
    number = {one.text: one.number for one in answers}
    found = []
    for conversation, texts in order.items():
        numbers = [number[text] for text in texts if text in number]
        if numbers != sorted(numbers):
            found.append(conversation)
    return found
