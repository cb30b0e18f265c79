"""The command `replay`: list, replay or discard dead letters.

Works in every region: AWS's redrive is not used.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.domain.clock import Clock, now_ms, rfc3339
from wechat_kf_cli.ops.dead_letters import KINDS, DeadLetter, Filter, QueueKind
from wechat_kf_cli.options import Profile, Region, StackName
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, Target, find_target

DONE, FAILED, STOPPED = 0, 1, 130
"""Exit codes: done; failed; interrupted."""

CONTINUE = "Nothing was lost. Run the same command again to continue."

HIDDEN_SECONDS = 120
"""How long a dead letter stays hidden if this command is killed. SQS remembers deduplication ids
for 300 seconds, so it still recognizes then what was sent last."""

KEPT_SECONDS = 1_800
"""How long a dead letter that stays is hidden at most, so that the run reaches those behind it."""

_BATCH = 10
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    looked_at: int = 0
    unreadable: int = 0
    chosen: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By reason and event type; in a dry run, what would be replayed or discarded."""

    behind: int = 0
    """Not looked at: they come after others of their conversation that stay."""


Progress = Callable[[DeadLetter, Tally], None]


def _silent(letter: DeadLetter, tally: Tally) -> None:
    """The default progress."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Moves dead letters of one queue back into it, or deletes them."""

    sqs: Any
    kind: QueueKind
    dead_letters_url: str
    queue_url: str
    clock: Clock = now_ms
    wait_seconds: int = 1
    """How long to wait for more before concluding that there are no more."""

    def run(
        self,
        wanted: Filter,
        *,
        limit: int | None = None,
        dry_run: bool = False,
        discard: bool = False,
        progress: Progress = _silent,
    ) -> Tally:
        """Replay or delete the wanted ones, up to `limit`; call `progress` for each of them.

        What failed again since this run began is left alone: it would loop. The run ends at the
        latest when nothing new has come for `HIDDEN_SECONDS`. Raises botocore's errors; repeating
        the run is safe then.
        """
        started = self.read_time()
        resend = partial(self.resend, now=started)
        act = None if dry_run else self.delete if discard else resend
        run = _Run(act, wanted, sys.maxsize if limit is None else limit, progress)
        latest = self.clock()
        try:
            while not run.full and (received := self._receive()):
                new = run.hold(received)
                for letter in new:
                    run.take(letter, started)
                if new:
                    latest = self.clock()
                elif self.clock() - latest > HIDDEN_SECONDS * 1_000:
                    break
                self._hide([letter for letter in received if letter.message_id in run.held])
            if not run.full:
                run.tally.behind = self._waiting()
        finally:
            self._release(list(run.held.values()))
        return run.tally

    def read_time(self) -> int:
        """Return SQS's own time in epoch milliseconds: this machine's clock may be minutes off."""
        answer = self.sqs.get_queue_attributes(
            QueueUrl=self.dead_letters_url, AttributeNames=["QueueArn"]
        )
        date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
        return int(parsedate_to_datetime(date).timestamp()) * 1_000 + 999

    def resend(self, letter: DeadLetter, now: int) -> None:
        """Send, then delete: a crash in between repeats one, and loses none."""
        self.sqs.send_message(QueueUrl=self.queue_url, **self.kind.entry(letter, now))
        self.delete(letter)

    def delete(self, letter: DeadLetter) -> None:
        """Delete one; it cannot be undone."""
        self.sqs.delete_message(QueueUrl=self.dead_letters_url, ReceiptHandle=letter.receipt_handle)

    def count(self) -> int:
        """Return how many there are, those in flight included."""
        return self._waiting("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")

    def _receive(self) -> list[DeadLetter]:
        answer = self.sqs.receive_message(
            QueueUrl=self.dead_letters_url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=self.wait_seconds,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [self.kind.letter(message) for message in answer.get("Messages", ())]

    def _hide(self, letters: Sequence[DeadLetter]) -> None:
        """Keep what stays out of the way until the run ends."""
        self._set_visibility(letters, KEPT_SECONDS)

    def _release(self, letters: Sequence[DeadLetter]) -> None:
        """Make what stays visible at once; if that fails, it is after a while."""
        self._set_visibility(letters, 0)

    def _set_visibility(self, letters: Sequence[DeadLetter], seconds: int) -> None:
        for start in range(0, len(letters), _BATCH):
            entries = [
                {
                    "Id": str(number),
                    "ReceiptHandle": one.receipt_handle,
                    "VisibilityTimeout": seconds,
                }
                for number, one in enumerate(letters[start : start + _BATCH])
            ]
            with suppress(BotoCoreError, ClientError):
                self.sqs.change_message_visibility_batch(
                    QueueUrl=self.dead_letters_url, Entries=entries
                )

    def _waiting(self, *names: str) -> int:
        asked = list(names or ("ApproximateNumberOfMessages",))
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_letters_url, AttributeNames=asked)
        return sum(int(answer["Attributes"][name]) for name in asked)


@dataclass(slots=True)
class _Run:
    """One run of a replay: what it has seen, and what it holds until the end."""

    act: Callable[[DeadLetter], None] | None
    """Applied to each wanted one; None in a dry run."""

    wanted: Filter
    limit: int
    progress: Progress
    tally: Tally = field(default_factory=Tally)
    seen: set[str] = field(default_factory=set)
    held: dict[str, DeadLetter] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        return self.tally.chosen.total() >= self.limit

    def hold(self, received: Sequence[DeadLetter]) -> list[DeadLetter]:
        """Return the new ones; those that stay are received again after a while."""
        self.held.update((letter.message_id, letter) for letter in received)
        new = [letter for letter in received if letter.message_id not in self.seen]
        self.seen.update(letter.message_id for letter in new)
        return new

    def take(self, letter: DeadLetter, started: int) -> None:
        """Act on a wanted one. What failed again since `started` is left alone."""
        self.tally.looked_at += 1
        wanted = self.wanted.matches(letter) and letter.dead_since <= started and not self.full
        if wanted and self.act:
            self.act(letter)
            del self.held[letter.message_id]
        if wanted:
            self.tally.chosen[letter.reason, letter.facts.event_type] += 1
            self.progress(letter, self.tally)
        elif not letter.readable:
            self.tally.unreadable += 1


def replays(target: Target, kinds: Sequence[QueueKind]) -> list[Replay]:
    """Return the replays of those queues that the stack has."""
    sqs, outputs = target.client("sqs"), target.outputs
    return [
        Replay(sqs, kind, dead_letters_url=outputs[dead], queue_url=outputs[alive])
        for kind in kinds
        for dead, alive in [kind.outputs]
        if dead in outputs and alive in outputs
    ]


def _duration(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if found is None:
        raise typer.BadParameter("must be like 30m, 12h or 2d")
    return int(found[1]) * _UNITS[found[2]] * 1_000


Queue = StrEnum("Queue", {name: name for name in KINDS})  # type: ignore[misc]


def replay(  # noqa: PLR0913 - the options of the command
    queue: Annotated[
        Queue | None, typer.Argument(help="Without it, all queues are counted.", show_default=False)
    ] = None,
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List them and change nothing.")
    ] = False,
    discard: Annotated[
        bool,
        typer.Option(
            "--discard", help="Delete them, matching unreadable ones included; asks first."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --discard: do not ask.")] = False,
    reason: Annotated[
        str | None, typer.Option(help="Only those whose reason starts with this.")
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Only events whose type starts with this.")
    ] = None,
    business_id: Annotated[
        str | None, typer.Option(help="Only this merchant's; 0 is the main account.")
    ] = None,
    subscription: Annotated[
        str | None, typer.Option(help="Only this subscription's (queue: deliveries).")
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(parser=_duration, metavar="TIME", help="Dead for longer: 30m, 12h or 2d."),
    ] = None,
    newer_than: Annotated[
        int | None, typer.Option(parser=_duration, metavar="TIME", help="Dead for less than this.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximum number.")] = None,
) -> int:
    """List, replay or discard dead letters.

    Each message is sent before it is deleted, in the order of its conversation: none is lost, and
    an interrupted replay can be repeated. Discarding cannot be undone. No customer text is shown.

    Exit codes: 0 done, 1 failed, 2 the command is wrong, 130 stopped.
    """
    if discard and queue is None:
        raise typer.BadParameter("needs a queue", param_hint="--discard")
    kinds = [KINDS[queue]] if queue else list(KINDS.values())
    try:
        found = replays(find_target(StackOptions(stack_name, region, profile)), kinds)
        if not found:
            raise StackError(f"this stack has no {queue} queue")
        if queue is None:
            return _count(found)
        [chosen] = found
        now = chosen.read_time()
        wanted = Filter(
            reason=reason,
            event_type=type_,
            business_id=business_id,
            subscription_id=subscription,
            dead_before=now - older_than if older_than else None,
            dead_after=now - newer_than if newer_than else None,
            unreadable=discard,
        )
        if discard and not dry_run and not (yes or _agreed(chosen)):
            print("Nothing was deleted.", file=sys.stderr)
            return STOPPED
        return _replay(chosen, wanted, limit, dry_run=dry_run, discard=discard)
    except StackError as error:
        print(error, file=sys.stderr)
        return FAILED
    except (BotoCoreError, ClientError) as error:
        print(f"{error}\n{CONTINUE}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"\nStopped. {CONTINUE}", file=sys.stderr)
        return STOPPED


def _count(found: Sequence[Replay]) -> int:
    print(f"{'queue':<12} {'dead letters':>12}")
    for replay in found:
        print(f"{replay.kind.name:<12} {replay.count():>12}")
    return DONE


def _replay(
    replay: Replay, wanted: Filter, limit: int | None, *, dry_run: bool, discard: bool
) -> int:
    done = "discarded" if discard else "replayed"
    tally = replay.run(
        wanted,
        limit=limit,
        dry_run=dry_run,
        discard=discard,
        progress=_list_line if dry_run else _progress(done, replay.count()),
    )
    print(summary(tally, dry_run=dry_run, done=done))
    return DONE


def _agreed(replay: Replay) -> bool:
    """Ask for confirmation; no terminal means no."""
    name = replay.kind.name
    print(
        f"{name} has {replay.count()} dead letters; those that match will be deleted. This cannot "
        f"be undone.\nList them first with --dry-run. To delete, type {name}: ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip() == name


def _list_line(letter: DeadLetter, tally: Tally) -> None:
    facts = letter.facts
    names = (facts.event_type, facts.business_id, facts.subscription_id, facts.subject)
    print(rfc3339(letter.dead_since), letter.reason, *(name or "-" for name in names), sep="  ")


def _progress(what: str, total: int) -> Progress:
    """Return a progress that updates one line on a terminal, elsewhere a line per hundred."""
    terminal = sys.stderr.isatty()

    def show(letter: DeadLetter, tally: Tally) -> None:
        done = tally.chosen.total()
        if terminal:
            print(f"\r{what} {done} of up to {total}", end="", file=sys.stderr)
        elif done % 100 == 0:
            print(f"{what} {done} of up to {total}", file=sys.stderr)

    return show


def summary(tally: Tally, *, dry_run: bool, done: str = "replayed") -> str:
    """Return the lines that say what was, or would be, `done`, and what stays."""
    chosen = tally.chosen.total()
    lines = [f"\n{chosen} of {tally.looked_at} {'would be ' if dry_run else ''}{done}"]
    lines += [
        f"{count:>7}  {reason}  {event_type}"
        for (reason, event_type), count in sorted(tally.chosen.items())
    ]
    if tally.unreadable:
        lines.append(f"{tally.unreadable} unreadable ones stay")
    if tally.behind:
        lines.append(
            f"{tally.behind} not looked at: they come after ten of their conversation that stay"
        )
    if dry_run:
        lines.append("dry run: nothing was changed")
    return "\n".join(lines)
