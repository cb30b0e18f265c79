"""A merchant: our record of one WeChat customer-service sub-merchant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from wechat_kf.app_errors import AppError, ConflictError, NotFoundError
from wechat_kf.domain.clock import rfc3339
from wechat_kf.domain.paging import Page

Icon = bytes | str
"""The image itself, or the media id of an image uploaded to WeChat in the last 3 days."""


class MerchantStatus(StrEnum):
    """WeChat has no delete: a merchant can only be deactivated on our side.

    An inactive merchant has no contact button and may not send. Its buyers can still write, and
    its events are still delivered: nothing a buyer says is lost.
    """

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A sub-merchant as WeChat describes it. `icon_url` is opaque and may be empty."""

    business_id: str
    account_name: str
    nickname: str
    icon_url: str = ""


@dataclass(frozen=True, slots=True)
class Merchant:
    """Our record of a sub-merchant. Times are epoch milliseconds.

    `external_id` is the platform's own key, if any. `welcome_message` greets buyers who enter;
    None for no greeting. `version` counts changes: the store uses it to detect concurrent writers.
    """

    business_id: str
    account_name: str
    nickname: str
    icon_url: str = ""
    external_id: str | None = None
    status: MerchantStatus = MerchantStatus.ACTIVE
    created_at: int = 0
    updated_at: int = 0
    version: int = 0
    welcome_message: str | None = None

    @classmethod
    def adopt(cls, entry: DirectoryEntry, external_id: str | None, *, now: int) -> Merchant:
        """Return a new record of what WeChat has."""
        return cls(
            entry.business_id,
            entry.account_name,
            entry.nickname,
            entry.icon_url,
            external_id,
            created_at=now,
            updated_at=now,
        )

    def mirror(self, entry: DirectoryEntry) -> Merchant:
        """Return this record with the nickname and icon that WeChat has."""
        return replace(self, nickname=entry.nickname, icon_url=entry.icon_url)


def merchant_document(merchant: Merchant) -> dict[str, Any]:
    """Return the merchant as callers and subscribers see it."""
    return {
        "business_id": merchant.business_id,
        "account_name": merchant.account_name,
        "nickname": merchant.nickname,
        "icon_url": merchant.icon_url,
        "external_id": merchant.external_id,
        "status": str(merchant.status),
        "welcome_message": merchant.welcome_message,
        "created_at": rfc3339(merchant.created_at),
        "updated_at": rfc3339(merchant.updated_at),
    }


@dataclass(frozen=True, slots=True)
class Registration:
    """What is needed to open a sub-merchant.

    `name_is_derived`: the caller gave no account name, so it was derived from `external_id`.
    """

    account_name: str
    nickname: str
    icon: Icon = field(repr=False)
    external_id: str | None = None
    name_is_derived: bool = False
    transfer_to_commkf: bool | None = None
    welcome_message: str | None = None


class UnreadableEntryError(AppError):
    """WeChat describes a sub-merchant in a way we cannot use, such as without a name."""

    code = "malformed_reply"
    status = 502

    def __init__(self, business_id: str) -> None:
        super().__init__("WeChat's description of the sub-merchant is not usable")
        self.business_id = business_id


class OutcomeUnknownError(Exception):
    """The call to WeChat failed after it may have been carried out."""


class ChangedMeanwhileError(Exception):
    """The record was changed since it was read: read it again."""


class AccountNameTakenError(ConflictError):
    """WeChat says that this account name has been used; an account name is never free again.

    `evidence` is what WeChat's support asks for: errcode and rid.
    """

    code = "account_name_taken"

    def __init__(self, **evidence: str | int) -> None:
        detail = "this account_name has been used up, and not by a sub-merchant of yours"
        super().__init__(detail, field="account_name", **evidence)


class MerchantInactiveError(ConflictError):
    """The merchant is deactivated."""

    code = "merchant_inactive"


class UnknownMerchantError(NotFoundError):
    """This stack has no merchant of this business id."""

    code = "merchant_not_found"


class MissingAtWeChatError(NotFoundError):
    """We hold a record, but WeChat no longer has the sub-merchant."""

    code = "sub_merchant_not_found"


class MerchantReader(Protocol):
    """Reads one merchant at a time."""

    def get(self, business_id: str) -> Merchant | None: ...


class MerchantStore(MerchantReader, Protocol):
    """Our table of merchants; `account_name` and `external_id` are unique in it."""

    def add(self, merchant: Merchant) -> Merchant:
        """Store a merchant, or return the one that already has this business id, unchanged.

        Raises:
            ConflictError: the account name or external id belongs to another merchant; its member
                `field` says which, and `business_id` whose it is.
        """

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        """Replace `before` by `after` and return the record as stored, its version one higher.

        The business id, account name and creation stay as they are.

        Raises:
            ChangedMeanwhileError: the stored record is no longer `before`.
            ConflictError: the new external id belongs to another merchant, as in `add`.
        """

    def find_by_account_name(self, account_name: str) -> Merchant | None: ...

    def find_by_external_id(self, external_id: str) -> Merchant | None: ...

    def list(self, *, limit: int, cursor: str | None) -> Page[Merchant]:
        """Return a page of all merchants, in a stable order.

        Raises:
            InvalidRequestError: the cursor is not one of this list's.
        """


class SubMerchantDirectory(Protocol):
    """WeChat's side: the sub-merchants as WeChat holds them. Its refusals pass through."""

    def register(self, registration: Registration, icon_media_id: str) -> DirectoryEntry:
        """Open a sub-merchant.

        Raises:
            AccountNameTakenError: the account name has been used, perhaps by an earlier try.
            OutcomeUnknownError: WeChat may or may not have done it.
        """

    def update(
        self, business_id: str, *, nickname: str | None = None, icon_media_id: str | None = None
    ) -> None:
        """Change the nickname, the icon or both."""

    def get(self, business_id: str) -> DirectoryEntry | None:
        """Return a sub-merchant, or None. Raises UnreadableEntryError."""

    def find(self, account_name: str) -> DirectoryEntry | None:
        """Return a sub-merchant, or None. Raises UnreadableEntryError."""

    def list(self, report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        """Yield every sub-merchant once; what changes meanwhile may be missed.

        `report_unreadable` is called with the business id of each that we cannot use.
        """

    def upload_icon(self, image: bytes) -> str:
        """Upload an image and return its media id, good for 3 days."""


def resolve_icon(icon: Icon, directory: SubMerchantDirectory) -> str:
    """Return the media id to pass to WeChat; upload the image if that is what we have."""
    return icon if isinstance(icon, str) else directory.upload_icon(icon)
