"""WeChat's directory of sub-merchants in memory, with its rules and with ways to fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    DirectoryEntry,
    Registration,
    UnreadableEntryError,
)


@dataclass
class FakeDirectory:
    """`SubMerchantDirectory`.

    `before[name]` and `after[name]` hold exceptions that the next call of that name raises, before
    or after it had its effect; each serves once.
    """

    entries: dict[str, DirectoryEntry] = field(default_factory=dict)
    burnt: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    before: dict[str, Exception] = field(default_factory=dict)
    after: dict[str, Exception] = field(default_factory=dict)
    page_size: int = 200
    _icons: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def register(self, registration: Registration, icon_media_id: str) -> DirectoryEntry:
        self._enter("register")
        with self._lock:
            name = registration.account_name
            if name in self.burnt or self._by_name(name):
                raise AccountNameTakenError(errcode=45070, rid="6114dedc-7e90330d-3fb31e22")
            entry = self.add(name, registration.nickname, icon_media_id)
        self._leave("register")
        return entry

    def update(
        self, business_id: str, *, nickname: str | None = None, icon_media_id: str | None = None
    ) -> None:
        self._enter("update")
        entry = self.entries[business_id]
        icon_url = entry.icon_url if icon_media_id is None else _url_of(icon_media_id)
        self.entries[business_id] = replace(
            entry, nickname=nickname or entry.nickname, icon_url=icon_url
        )
        self._leave("update")

    def get(self, business_id: str) -> DirectoryEntry | None:
        self._enter("get")
        if business_id in self.unreadable:
            raise UnreadableEntryError(business_id)
        return self.entries.get(business_id)

    def find(self, account_name: str) -> DirectoryEntry | None:
        self._enter("find")
        return self._by_name(account_name)

    def list(self, report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        """Page by page, so that what changes meanwhile is seen or missed as at WeChat."""
        offset = 0
        while True:
            self._enter("list")
            page = list(self.entries.values())[offset : offset + self.page_size]
            for entry in page:
                if entry.business_id in self.unreadable:
                    report_unreadable(entry.business_id)
                else:
                    yield entry
            if len(page) < self.page_size:
                return
            offset += self.page_size

    def upload_icon(self, image: bytes) -> str:
        self._enter("upload_icon")
        self._icons += 1
        return f"media-{self._icons}"

    def add(self, account_name: str, nickname: str, icon_media_id: str = "icon") -> DirectoryEntry:
        """What somebody else registers, elsewhere."""
        business_id = str(len(self.entries) + 1)
        entry = DirectoryEntry(business_id, account_name, nickname, _url_of(icon_media_id))
        self.entries[business_id] = entry
        return entry

    def _by_name(self, account_name: str) -> DirectoryEntry | None:
        found = (entry for entry in self.entries.values() if entry.account_name == account_name)
        return next(found, None)

    def _enter(self, name: str) -> None:
        self.calls.append(name)
        if fault := self.before.pop(name, None):
            raise fault

    def _leave(self, name: str) -> None:
        if fault := self.after.pop(name, None):
            raise fault


def _url_of(media_id: str) -> str:
    return f"https://icons.test/{media_id}"
