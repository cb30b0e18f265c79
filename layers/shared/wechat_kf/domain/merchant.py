"""A merchant: our record of one WeChat customer-service sub-merchant."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from wechat_kf.domain.paging import Page


class MerchantStatus(StrEnum):
    """WeChat has no delete: a merchant can only be set aside on our side."""

    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Merchant:
    """Instants are epoch milliseconds. `external_id` is the platform's own key, if it gave one."""

    business_id: str
    account_name: str
    nickname: str
    icon_url: str = ""
    external_id: str | None = None
    status: MerchantStatus = MerchantStatus.ACTIVE
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Registration:
    """What is needed to open a sub-merchant. `icon_media_id` is a media id at most 3 days old."""

    account_name: str
    nickname: str
    icon_media_id: str
    transfer_to_commkf: bool | None = None


class MerchantStore(Protocol):
    """Our table of merchants; `account_name` and `external_id` are unique in it."""

    def add(self, merchant: Merchant) -> Merchant:
        """Store a merchant, or return the one that already has this business id, unchanged.

        Raises:
            ConflictError: the external id (or account name) belongs to another merchant.
        """

    def get(self, business_id: str) -> Merchant | None: ...

    def find_by_account_name(self, account_name: str) -> Merchant | None: ...

    def find_by_external_id(self, external_id: str) -> Merchant | None: ...

    def list(self, *, limit: int, cursor: str | None) -> Page[Merchant]:
        """All merchants, in the order of their business ids."""


class SubMerchantDirectory(Protocol):
    """WeChat's side: the sub-merchants as WeChat holds them."""

    def register(self, registration: Registration) -> str:
        """Open a sub-merchant and return its business id.

        Raises:
            NameTakenError: this account name exists already (45070).
            OutcomeUnknownError: WeChat may or may not have done it.
        """

    def find(self, account_name: str) -> Merchant | None:
        """The sub-merchant of this account name, as WeChat knows it."""

    def upload_icon(self, image: bytes) -> str:
        """Upload an image and return its media id, good for 3 days."""
