"""Reconciliation of our records with WeChat's list of sub-merchants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from wechat_kf.domain.clock import SECOND, Clock
from wechat_kf.domain.merchants.merchant import (
    ChangedMeanwhileError,
    DirectoryEntry,
    Merchant,
    MerchantStore,
    SubMerchantDirectory,
)
from wechat_kf.errors import ConflictError

PAGE = 200
BUDGET_MS = 20 * SECOND
"""API Gateway waits up to 30 s; the next run does the rest."""


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a run found and did; every list holds business ids in order.

    `missing`: we hold a record, but WeChat has no such sub-merchant. Nothing is done to it.
    `conflicting`: WeChat lists it, but its account name belongs to another record of ours.
    `complete` is false when the time ran out; run it again.
    """

    listed: int
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    conflicting: tuple[str, ...] = ()
    complete: bool = True


@dataclass(slots=True)
class _Findings:
    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    conflicting: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MerchantSync:
    """Adopts what was registered elsewhere, corrects names and icons, reports what is missing."""

    store: MerchantStore
    directory: SubMerchantDirectory
    clock: Clock
    budget_ms: int = BUDGET_MS

    def run(self) -> SyncReport:
        """Reconcile once. Safe to repeat, and to run beside any other change."""
        deadline = self.clock() + self.budget_ms
        # Read our records first, then WeChat's list: a record that changes after this line fails
        # the version check below, and is up to date already.
        records = {merchant.business_id: merchant for merchant in self._records()}
        entries = {entry.business_id: entry for entry in self.directory.list()}
        findings = _Findings()
        complete = self._reconcile(records, entries, findings, deadline)
        return SyncReport(
            listed=len(entries),
            added=tuple(findings.added),
            changed=tuple(findings.changed),
            missing=tuple(findings.missing),
            conflicting=tuple(findings.conflicting),
            complete=complete,
        )

    def _records(self) -> Iterator[Merchant]:
        cursor = None
        while True:
            page = self.store.list(limit=PAGE, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _reconcile(
        self,
        records: Mapping[str, Merchant],
        entries: Mapping[str, DirectoryEntry],
        findings: _Findings,
        deadline: int,
    ) -> bool:
        for business_id in sorted(records.keys() | entries.keys(), key=_order):
            if self.clock() > deadline:
                return False
            record, entry = records.get(business_id), entries.get(business_id)
            if record is None and entry is not None:
                self._adopt(entry, findings)
            elif record is not None:
                self._compare(record, entry, findings)
        return True

    def _adopt(self, entry: DirectoryEntry, findings: _Findings) -> None:
        new = Merchant.adopt(entry, None, now=self.clock())
        try:
            if self.store.add(new) == new:
                findings.added.append(entry.business_id)
        except ConflictError:
            findings.conflicting.append(entry.business_id)

    def _compare(self, record: Merchant, entry: DirectoryEntry | None, findings: _Findings) -> None:
        # The list is not a snapshot: what moved while it was read may be missing from its pages.
        entry = entry or self.directory.get(record.business_id)
        if entry is None:
            findings.missing.append(record.business_id)
            return
        mirrored = record.mirror(entry)
        if mirrored == record:
            return
        try:
            self.store.update(record, replace(mirrored, updated_at=self.clock()))
        except ChangedMeanwhileError:
            return
        findings.changed.append(record.business_id)


def _order(business_id: str) -> tuple[int, str]:
    return len(business_id), business_id
