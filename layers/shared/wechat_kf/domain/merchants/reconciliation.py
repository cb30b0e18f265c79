"""Reconciliation of our records with WeChat's list of sub-merchants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, TypeVar

from wechat_kf.app_errors import ConflictError
from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.merchants.merchant import (
    ChangedMeanwhileError,
    DirectoryEntry,
    Merchant,
    MerchantStore,
    SubMerchantDirectory,
    UnreadableEntryError,
)

T = TypeVar("T")

PAGE = 200
BUDGET_MS = 20 * SECOND
"""API Gateway waits up to 30 s; the next run does the rest."""

WORKERS = 8
"""Merchants settled side by side: one takes milliseconds, and there may be thousands."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run found and did; every list holds business ids in order.

    `missing`: we hold a record, but WeChat has no such sub-merchant. Nothing is done to it.
    `conflicting`: WeChat lists it, but its account name belongs to another record of ours.
    `unreadable`: WeChat describes it in a way we cannot use; an empty id where it has none.
    `complete` is false when the time ran out: the next run continues.
    """

    listed: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    complete: bool = True


class SyncPlace(Protocol):
    """Remembers where the search for missing sub-merchants stopped."""

    def read_place(self) -> str:
        """Return the business id that was checked last; empty after a complete run."""

    def write_place(self, business_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class MerchantSync:
    """Adopts what was registered elsewhere, corrects names and icons, reports what is missing."""

    store: MerchantStore
    directory: SubMerchantDirectory
    place: SyncPlace
    clock: Clock
    budget_ms: int = BUDGET_MS
    workers: int = WORKERS

    def run(self) -> SyncReport:
        """Reconcile once. Safe to repeat, and to run beside any other change."""
        deadline = self.clock() + self.budget_ms
        # Read our records first, then WeChat's list: a record that changes after this line fails
        # the version check below, and is up to date already.
        records = {merchant.business_id: merchant for merchant in self._read_records()}
        with ThreadPoolExecutor(self.workers) as pool:
            run = _Run(pool, self.clock, deadline)
            listed = self._settle_listed(records, run)
            if not run.late:
                self._check_absent({key: records[key] for key in records.keys() - listed}, run)
        return run.report(len(listed))

    def _read_records(self) -> Iterator[Merchant]:
        cursor = None
        while True:
            page = self.store.list(limit=PAGE, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _settle_listed(self, records: Mapping[str, Merchant], run: _Run) -> set[str]:
        """Settle what WeChat lists, page by page, and return the business ids seen."""
        seen: set[str] = set()

        def settle(entry: DirectoryEntry) -> str:
            return self._settle(records.get(entry.business_id), entry)

        for entries in _batches(self.directory.list(run.found["unreadable"].append), PAGE):
            seen.update(entry.business_id for entry in entries)
            run.settle({entry.business_id: entry for entry in entries}, settle)
            if run.late:
                break
        return seen.union(filter(None, run.found["unreadable"]))

    def _check_absent(self, absent: Mapping[str, Merchant], run: _Run) -> None:
        """Ask WeChat for each record that it did not list, from where the last run stopped.

        The list is not a snapshot: what moved while it was read may be missing from its pages.
        """
        place = self.place.read_place()
        order = sorted((key for key in absent if _order(key) > _order(place)), key=_order)
        last, stopped = place, True
        try:
            for keys in _batches(order, 2 * self.workers):
                last = run.settle({key: absent[key] for key in keys}, self._check) or last
                if run.late:
                    return
            stopped = False
        finally:
            new_place = last if stopped else ""
            if new_place != place:
                self.place.write_place(new_place)

    def _check(self, record: Merchant) -> str:
        try:
            entry = self.directory.get(record.business_id)
        except UnreadableEntryError:
            return "unreadable"
        return self._settle(record, entry) if entry else "missing"

    def _settle(self, record: Merchant | None, entry: DirectoryEntry) -> str:
        """Bring our record in line with WeChat's entry, and return what that was."""
        try:
            if record is None:
                new = Merchant.adopt(entry, None, now=self.clock())
                return "added" if self.store.add(new) == new else ""
            mirrored = record.mirror(entry)
            if mirrored == record:
                return ""
            self.store.update(record, replace(mirrored, updated_at=self.clock()))
        except ConflictError:
            return "conflicting"
        except ChangedMeanwhileError:
            return ""
        return "changed"


@dataclass(slots=True)
class _Run:
    """One run: its time, its workers, and the business ids it has found, by kind."""

    pool: ThreadPoolExecutor
    clock: Clock
    deadline: int
    found: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    late: bool = False

    def settle(self, items: Mapping[str, T], settle: Callable[[T], str]) -> str:
        """Settle items side by side until the time is over; return the last one before that."""
        last = ""
        kinds = self.pool.map(self._in_time(settle), items.values())
        for key, kind in zip(items, kinds, strict=True):
            self.late = self.late or kind is None
            if kind:
                self.found[kind].append(key)
            last = last if self.late else key
        return last

    def _in_time(self, settle: Callable[[T], str]) -> Callable[[T], str | None]:
        return lambda item: None if self.clock() > self.deadline else settle(item)

    def report(self, listed: int) -> SyncReport:
        found = {kind: tuple(sorted(keys, key=_order)) for kind, keys in self.found.items() if kind}
        return SyncReport(listed, complete=not self.late, **found)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def _order(business_id: str) -> tuple[int, str]:
    return len(business_id), business_id
