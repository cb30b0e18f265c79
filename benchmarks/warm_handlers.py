"""Warm invocations of each handler against the bare calls it makes: CPU of one process."""

from __future__ import annotations

from benchmarks.calls_made import calls_made, in_words
from benchmarks.invocations import Context, event_for, in_a_process, load_handler
from benchmarks.loopback import loopback
from benchmarks.measure import COMPARISON, Section, cpu_samples, row_of_turns
from benchmarks.template_environment import function_names

Samples = tuple[list[float], list[float]]

ROUNDS = 300
CALLS = 600
"""Calls of each side in all rounds: a handler that makes many calls gets fewer rounds."""

NOTE = (
    "One warm invocation with one message (the worst case for a function that takes batches), "
    "against the same calls made bare with the same parameters: botocore for AWS, `requests` on a "
    "kept connection for WeChat, `http.client` for a webhook. The difference is our own work: "
    "Powertools' routing and validation, the rules, the logs. AWS, WeChat and the subscriber are "
    "a loopback server in another process. Median CPU time, and the median of the rounds' ratios; "
    "less is better. Only `push` has a goal, because it must respond within a deadline."
)


def run() -> list[Section]:
    with loopback() as origin:
        measured = [in_a_process(_measure, name, origin) for name in function_names()]
    rows = [
        [*row_of_turns(name, samples, "µs", 1.2 if name == "push" else None).cells(), calls]
        for name, (samples, calls) in zip(function_names(), measured, strict=True)
    ]
    return [Section("Warm invocations", NOTE, [*COMPARISON, "its calls"], rows)]


def _measure(name: str, origin: str) -> tuple[Samples, str]:
    """Of ours and of the floor, in microseconds; and the calls in words."""
    handler, event, context = load_handler(name, origin), event_for(name), Context()
    handler(event, context)  # fills the caches that a warm function has
    with calls_made() as calls:
        handler(event, context)

    def floor() -> None:
        for call in calls:
            call.again()

    # Many short turns: the machine's own moods last longer than one, and so meet both sides of it.
    rounds = min(ROUNDS, CALLS // len(calls))
    ours, bare = cpu_samples([lambda: handler(event, context), floor], rounds, calls=3)
    return (ours, bare), in_words(calls)
