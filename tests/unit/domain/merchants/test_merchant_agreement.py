"""Any sequence of create, crash, retry, update and sync leaves table and WeChat in agreement."""

from __future__ import annotations

from contextlib import suppress

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.fake_directory import FakeDirectory
from tests.fakes import FakeClock, InMemoryMerchants
from wechat_kf.app_errors import AppError
from wechat_kf.domain.merchants.changes import MerchantAdmin, MerchantChange
from wechat_kf.domain.merchants.merchant import (
    DirectoryEntry,
    Merchant,
    MerchantStatus,
    OutcomeUnknownError,
    Registration,
)
from wechat_kf.domain.merchants.reconciliation import MerchantSync
from wechat_kf.domain.merchants.registration import Registrar

NAMES = st.sampled_from([f"shop_{number}" for number in range(4)])
EXTERNAL_IDS = st.none() | st.sampled_from([f"m-{number}" for number in range(4)])
NICKNAMES = st.sampled_from(["苹果店", "香蕉店", "樱桃店"])
BUSINESS_IDS = st.sampled_from(["1", "2", "3", "4"])
FAULTS = st.none() | st.sampled_from(
    [
        (place, when, call)
        for place, when, calls in (
            ("directory", "before", ("find", "get", "register", "update", "upload_icon", "list")),
            ("directory", "after", ("register", "update")),
            ("store", "before", ("add", "update")),
            ("store", "after", ("add", "update")),
        )
        for call in calls
    ]
)


class CrashError(Exception):
    """The process died here: whatever came before has happened, nothing after it has."""


class CrashingMerchants(InMemoryMerchants):
    """A store whose next `add` or `update` can be made the last thing a request does."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, Exception] = {}
        self.after: dict[str, Exception] = {}

    def add(self, merchant: Merchant) -> Merchant:
        self._raise(self.before, "add")
        added = super().add(merchant)
        self._raise(self.after, "add")
        return added

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        self._raise(self.before, "update")
        updated = super().update(before, after)
        self._raise(self.after, "update")
        return updated

    def _raise(self, faults: dict[str, Exception], call: str) -> None:
        if fault := faults.pop(call, None):
            raise fault


class Merchants(RuleBasedStateMachine):
    """Requests against the use cases, with crashes and with other people at WeChat's console."""

    def __init__(self) -> None:
        super().__init__()
        self.store = CrashingMerchants()
        self.directory = FakeDirectory(page_size=2)
        clock = FakeClock()
        self.registrar = Registrar(self.store, self.directory, clock, pause=lambda _: None)
        self.admin = MerchantAdmin(self.store, self.directory, clock)
        self.sync = MerchantSync(self.store, self.directory, self.store, clock)
        self.promised: dict[str, str] = {}  # external id → business id, as answered to a caller

    @rule(name=NAMES, external_id=EXTERNAL_IDS, nickname=NICKNAMES, fault=FAULTS)
    def register(
        self,
        name: str,
        external_id: str | None,
        nickname: str,
        fault: tuple[str, str, str] | None,
    ) -> None:
        self._arm(fault)
        with suppress(AppError, CrashError):
            merchant, _ = self.registrar.register(
                Registration(name, nickname, b"image", external_id)
            )
            if external_id is not None:
                assert merchant.external_id == external_id
                self.promised[external_id] = merchant.business_id
        self._disarm()

    @rule(name=NAMES, external_id=EXTERNAL_IDS, nickname=NICKNAMES)
    def register_with_a_time_out(self, name: str, external_id: str | None, nickname: str) -> None:
        self.directory.after["register"] = OutcomeUnknownError()
        self.register(name, external_id, nickname, None)

    @rule(
        business_id=BUSINESS_IDS,
        nickname=st.none() | NICKNAMES,
        icon=st.none() | st.just(b"i"),
        fault=FAULTS,
    )
    def change(
        self,
        business_id: str,
        nickname: str | None,
        icon: bytes | None,
        fault: tuple[str, str, str] | None,
    ) -> None:
        self._arm(fault)
        with suppress(AppError, CrashError):
            changed = self.admin.change(business_id, MerchantChange(nickname, icon))
            if nickname is not None:
                assert changed.nickname == nickname
                assert self.directory.entries[business_id].nickname == nickname
        self._disarm()

    @rule(business_id=BUSINESS_IDS, external_id=EXTERNAL_IDS)
    def move_external_id(self, business_id: str, external_id: str | None) -> None:
        with suppress(AppError):
            moved = self.admin.change(business_id, MerchantChange(external_id=external_id))
            kept = {key: value for key, value in self.promised.items() if value != business_id}
            self.promised = kept | ({moved.external_id: business_id} if moved.external_id else {})

    @rule(business_id=BUSINESS_IDS, status=st.sampled_from(MerchantStatus))
    def set_aside_or_take_back(self, business_id: str, status: MerchantStatus) -> None:
        with suppress(AppError):
            self.admin.change(business_id, MerchantChange(status=status))

    @rule(name=NAMES, nickname=NICKNAMES)
    def somebody_registers_elsewhere(self, name: str, nickname: str) -> None:
        if self.directory.find(name) is None:
            self.directory.add(name, nickname)

    @rule(business_id=BUSINESS_IDS, nickname=NICKNAMES)
    def somebody_renames_elsewhere(self, business_id: str, nickname: str) -> None:
        if business_id in self.directory.entries:
            self.directory.update(business_id, nickname=nickname)

    @rule(fault=FAULTS)
    def reconcile(self, fault: tuple[str, str, str] | None) -> None:
        self._arm(fault)
        with suppress(CrashError):
            report = self.sync.run()
            assert report.missing == report.conflicting == ()
            assert self._records() == self.directory.entries
        self._disarm()

    @invariant()
    def the_mapping_never_drifts(self) -> None:
        for merchant in self._merchants():
            entry = self.directory.entries[merchant.business_id]
            assert entry.account_name == merchant.account_name
        for external_id, business_id in self.promised.items():
            owner = self.store.find_by_external_id(external_id)
            assert owner is not None
            assert owner.business_id == business_id

    def teardown(self) -> None:
        self.sync.run()
        assert self._records() == self.directory.entries

    def _arm(self, fault: tuple[str, str, str] | None) -> None:
        if fault:
            place, when, call = fault
            getattr(getattr(self, place), when)[call] = CrashError()

    def _disarm(self) -> None:
        for faults in (
            self.store.before,
            self.store.after,
            self.directory.before,
            self.directory.after,
        ):
            faults.clear()

    def _merchants(self) -> list[Merchant]:
        return list(self.store.list(limit=1000, cursor=None).items)

    def _records(self) -> dict[str, DirectoryEntry]:
        return {
            one.business_id: DirectoryEntry(
                one.business_id, one.account_name, one.nickname, one.icon_url
            )
            for one in self._merchants()
        }


TestAgreement = Merchants.TestCase
TestAgreement.settings = settings(max_examples=150, stateful_step_count=30)
