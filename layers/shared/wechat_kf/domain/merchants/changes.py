"""Reading and changing merchants, with WeChat and our record kept in agreement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
    media_id_of,
)
from wechat_kf.domain.paging import Page
from wechat_kf.errors import ConflictError, NotFoundError, UnavailableError

TRIES = 4


@dataclass(frozen=True, slots=True)
class MerchantChange:
    """What to change; None leaves as it is. An empty `welcome_message` ends the greeting."""

    nickname: str | None = None
    icon: Icon | None = field(default=None, repr=False)
    external_id: str | None = None
    status: MerchantStatus | None = None
    welcome_message: str | None = None

    @property
    def concerns_wechat(self) -> bool:
        return self.nickname is not None or self.icon is not None

    def of_record(self, merchant: Merchant) -> Merchant:
        """The record with what is ours alone changed; nickname and icon are WeChat's."""
        welcome = merchant.welcome_message if self.welcome_message is None else self.welcome_message
        return replace(
            merchant,
            external_id=merchant.external_id if self.external_id is None else self.external_id,
            status=self.status or merchant.status,
            welcome_message=welcome or None,
        )


@dataclass(frozen=True, slots=True)
class MerchantQuery:
    """A page of merchants; a filter that is not None must match exactly."""

    limit: int
    cursor: str | None = None
    account_name: str | None = None
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class MerchantAdmin:
    """What operators do with merchants after they are registered."""

    store: MerchantStore
    directory: SubMerchantDirectory
    clock: Clock

    def get(self, business_id: str) -> Merchant:
        """Raises NotFoundError."""
        merchant = self.store.get(business_id)
        if merchant is None:
            raise NotFoundError("no such merchant")
        return merchant

    def search(self, query: MerchantQuery) -> Page[Merchant]:
        """One page. Raises InvalidRequestError for a cursor that is not ours."""
        if query.account_name is None and query.external_id is None:
            return self.store.list(limit=query.limit, cursor=query.cursor)
        found = self._find(query)
        return Page([found] if found else [])

    def change(self, business_id: str, change: MerchantChange) -> Merchant:
        """Change a merchant: at WeChat only what differs there, then our record.

        Raises:
            NotFoundError: there is no such merchant, here or (MissingAtWeChatError) at WeChat.
            ConflictError: the external id belongs to another merchant; nothing was changed.
            UnavailableError: others keep changing it; repeating the request is safe.
        """
        self.get(business_id)
        self._require_free(business_id, change.external_id)
        if change.concerns_wechat:
            self._change_at_wechat(business_id, change)
        return self._record(business_id, change)

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
        # Compared with WeChat's own state, not with our record: that may be behind after a crash.
        entry = self._entry(business_id)
        nickname = change.nickname if change.nickname != entry.nickname else None
        media_id = media_id_of(change.icon, self.directory) if change.icon is not None else None
        if nickname is not None or media_id is not None:
            self.directory.update(business_id, nickname=nickname, icon_media_id=media_id)

    def _record(self, business_id: str, change: MerchantChange) -> Merchant:
        """Write what WeChat has now.

        Our record is read before WeChat is, and written only if nobody wrote it since; so the last
        of several writers has seen the last state of WeChat.
        """
        for _ in range(TRIES):
            before = self.get(business_id)
            wanted = change.of_record(before)
            if change.concerns_wechat:
                wanted = wanted.mirroring(self._entry(business_id))
            if wanted == before:
                return before
            try:
                return self.store.update(before, replace(wanted, updated_at=self.clock()))
            except ChangedMeanwhileError:
                continue
        raise UnavailableError("other requests keep changing this merchant; please repeat")

    def _entry(self, business_id: str) -> DirectoryEntry:
        entry = self.directory.get(business_id)
        if entry is None:
            raise MissingAtWeChatError("WeChat has no such sub-merchant any more")
        return entry
