"""Measurement and reporting: both sides interleaved in one run, medians compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Action = Callable[[], object]

COMPARISON = ("what", "ours", "the other", "ratio", "goal", "")


@dataclass(frozen=True, slots=True)
class Section:
    """One table of RESULTS.md with its explanation."""

    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        return f"## {self.title}\n\n{self.note}\n\n{table(self.header, self.rows)}\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: ours and the peer's (or floor's) figure in `unit`, and the goal.

    `ratio` is what the goal speaks of; `at_least` tells in which direction it is met.
    """

    what: str
    ours: float
    other: float
    unit: str
    ratio: float
    goal: float | None = None
    at_least: bool = True

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        met = self.ratio >= self.goal if self.at_least else self.ratio <= self.goal
        return "met" if met else "**missed**"

    def cells(self) -> list[str]:
        sign = "≥" if self.at_least else "≤"
        goal = f"{sign} {self.goal:g} ×" if self.goal is not None else ""
        return [
            self.what,
            f"{self.ours:,.1f} {self.unit}",
            f"{self.other:,.1f} {self.unit}",
            f"{self.ratio:.2f} ×",
            goal,
            self.verdict,
        ]


def row_of_turns(
    what: str, samples: tuple[Sequence[float], Sequence[float]], unit: str, goal: float | None
) -> Row:
    """Ours and the other's samples, taken in turns: their medians, and the median of the turns'
    ratios. Less is better."""
    ours, other = samples
    ratio = statistics.median(a / b for a, b in zip(ours, other, strict=True))
    medians = statistics.median(ours), statistics.median(other)
    return Row(what, medians[0], medians[1], unit, ratio, goal, at_least=False)


def cpu_microseconds(actions: Sequence[Action], *, rounds: int, calls: int) -> list[float]:
    """Median CPU time of one call of each action, in microseconds of this process."""
    return [statistics.median(sample) for sample in cpu_samples(actions, rounds, calls)]


def cpu_samples(actions: Sequence[Action], rounds: int, calls: int) -> list[list[float]]:
    """CPU time of one call of each action in every round, in microseconds of this process.

    The actions take turns, so that what disturbs the machine disturbs all of them.
    """
    samples: list[list[float]] = [[] for _ in actions]
    for action in actions:
        action()
    for _ in range(rounds):
        for index, action in enumerate(actions):
            started = time.process_time()
            for _ in range(calls):
                action()
            samples[index].append((time.process_time() - started) / calls * 1e6)
    return samples


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of `values` do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
