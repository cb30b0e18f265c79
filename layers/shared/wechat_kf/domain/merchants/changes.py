"""Reading and changing merchants, with WeChat and our record kept in agreement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wechat_kf.app_errors import ConflictError, NotFoundError, UnavailableError
from wechat_kf.domain.clock import Clock
from wechat_kf.domain.merchants.merchant import (
    ChangedMeanwhileError,
    DirectoryEntry,
    Icon,
    Merchant,
    MerchantStatus,
    MerchantStore,
    MissingAtWeChatError,
    SubMerchantDirectory,
    resolve_icon,
)
from wechat_kf.domain.paging import Page

TRIES = 4


@dataclass(frozen=True, slots=True)
class MerchantChange:
    """What to change; None changes nothing. An empty `welcome_message` removes the greeting."""

    nickname: str | None = None
    icon: Icon | None = field(default=None, repr=False)
    external_id: str | None = None
    status: MerchantStatus | None = None
    welcome_message: str | None = None

    @property
    def is_for_wechat(self) -> bool:
        return self.nickname is not None or self.icon is not None

    def apply(self, merchant: Merchant) -> Merchant:
        """Return the record with our own fields changed; nickname and icon are WeChat's."""
        welcome = merchant.welcome_message if self.welcome_message is None else self.welcome_message
        return replace(
            merchant,
            external_id=merchant.external_id if self.external_id is None else self.external_id,
            status=self.status or merchant.status,
            welcome_message=welcome or None,
        )


@dataclass(frozen=True, slots=True)
class MerchantQuery:
    """Selects a page of merchants; a filter that is not None must match exactly."""

    limit: int
    cursor: str | None = None
    account_name: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class MerchantAdmin:
    """Reads and changes registered merchants."""

    store: MerchantStore
    directory: SubMerchantDirectory
    clock: Clock

    def get(self, business_id: str) -> Merchant:
        """Return a merchant. Raises NotFoundError."""
        merchant = self.store.get(business_id)
        if merchant is None:
            raise NotFoundError("no such merchant")
        return merchant

    def search(self, query: MerchantQuery) -> Page[Merchant]:
        """Return one page. Raises InvalidRequestError for a cursor that is not ours."""
        if query.account_name is None and query.external_id is None:
            return self.store.list(limit=query.limit, cursor=query.cursor)
        found = self._find(query)
        return Page([found] if found else [])

    def change(self, business_id: str, change: MerchantChange) -> Merchant:
        """Change a merchant at WeChat, only where it differs there, then in our record.

        Raises:
            NotFoundError: there is no such merchant, here or (MissingAtWeChatError) at WeChat.
            ConflictError: the external id belongs to another merchant; nothing was changed.
            UnavailableError: other requests keep changing it; repeating the request is safe.
        """
        self.get(business_id)
        self._require_free(business_id, change.external_id)
        if change.is_for_wechat:
            self._change_at_wechat(business_id, change)
        return self._save(business_id, change)

    def _find(self, query: MerchantQuery) -> Merchant | None:
        if query.external_id is None:
            return self.store.find_by_account_name(query.account_name or "")
        found = self.store.find_by_external_id(query.external_id)
        wanted = found and query.account_name in (None, found.account_name)
        return found if wanted else None

    def _require_free(self, business_id: str, external_id: str | None) -> None:
        owner = self.store.find_by_external_id(external_id) if external_id is not None else None
        if owner and owner.business_id != business_id:
            raise ConflictError(
                "external_id belongs to another merchant",
                field="external_id",
                business_id=owner.business_id,
            )

    def _change_at_wechat(self, business_id: str, change: MerchantChange) -> None:
        # Compare with WeChat's state, not with our record, which may be behind after a crash.
        entry = self._read_entry(business_id)
        nickname = change.nickname if change.nickname != entry.nickname else None
        media_id = resolve_icon(change.icon, self.directory) if change.icon is not None else None
        if nickname is not None or media_id is not None:
            self.directory.update(business_id, nickname=nickname, icon_media_id=media_id)

    def _save(self, business_id: str, change: MerchantChange) -> Merchant:
        """Write what WeChat has now.

        Our record is read before WeChat, and written only if unchanged since; so the last of
        several writers has seen WeChat's last state.
        """
        for _ in range(TRIES):
            before = self.get(business_id)
            wanted = change.apply(before)
            if change.is_for_wechat:
                wanted = wanted.mirror(self._read_entry(business_id))
            if wanted == before:
                return before
            try:
                return self.store.update(before, replace(wanted, updated_at=self.clock()))
            except ChangedMeanwhileError:
                continue
        raise UnavailableError("other requests keep changing this merchant; please repeat")

    def _read_entry(self, business_id: str) -> DirectoryEntry:
        entry = self.directory.get(business_id)
        if entry is None:
            raise MissingAtWeChatError("WeChat no longer has this sub-merchant")
        return entry
