"""Events about merchants: `wechat.kf.merchant.changed`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.events import Event, EventQueue, EventType
from wechat_kf.domain.merchants.merchant import Merchant, MerchantStore, merchant_document
from wechat_kf.domain.paging import Page


def changed_event(merchant: Merchant, app_id: str) -> Event:
    """Return the event of a record's current version; its subject is the business id."""
    # The version alone is not enough: a table that was restored counts the same versions again.
    version = f"{merchant.created_at}|{merchant.version}|{merchant.updated_at}"
    identity = f"{app_id}|{merchant.business_id}|{version}"
    return Event(
        id=hashlib.sha256(identity.encode()).hexdigest(),
        type=EventType.MERCHANT_CHANGED,
        app_id=app_id,
        business_id=merchant.business_id,
        openid=merchant.business_id,
        at_ms=merchant.updated_at,
        data=merchant_document(merchant),
    )


@dataclass(frozen=True, slots=True)
class AnnouncedMerchants:
    """A `MerchantStore` that announces each change once.

    When the queue fails, the change stands, and `report_loss` is called with the lost event.
    """

    store: MerchantStore
    events: EventQueue
    app_id: str
    report_loss: Callable[[Event], None]

    def add(self, merchant: Merchant) -> Merchant:
        stored = self.store.add(merchant)
        if stored == merchant:
            self._announce(stored)
        return stored

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        stored = self.store.update(before, after)
        self._announce(stored)
        return stored

    def get(self, business_id: str) -> Merchant | None:
        return self.store.get(business_id)

    def find_by_account_name(self, account_name: str) -> Merchant | None:
        return self.store.find_by_account_name(account_name)

    def find_by_external_id(self, external_id: str) -> Merchant | None:
        return self.store.find_by_external_id(external_id)

    def list(self, *, limit: int, cursor: str | None) -> Page[Merchant]:
        return self.store.list(limit=limit, cursor=cursor)

    def _announce(self, merchant: Merchant) -> None:
        event = changed_event(merchant, self.app_id)
        try:
            self.events.put(event)
        except UnavailableError:
            self.report_loss(event)
