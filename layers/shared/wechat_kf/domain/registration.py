"""Opening a sub-merchant, safely to repeat.

WeChat burns an account name for ever and answers a repeat with an error; so whatever interrupts us,
the account name finds the sub-merchant again. Source: reference/wechat.md section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wechat_kf.domain.clock import Clock
from wechat_kf.domain.merchant import (
    Merchant,
    MerchantStore,
    Registration,
    SubMerchantDirectory,
)
from wechat_kf.errors import ConflictError, NotFoundError, UnavailableError


class NameTakenError(Exception):
    """WeChat has a sub-merchant of this account name already (45070)."""


class OutcomeUnknownError(Exception):
    """The call to WeChat broke off after it may have been carried out."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """Registers merchants with WeChat and keeps our record in step."""

    store: MerchantStore
    directory: SubMerchantDirectory
    clock: Clock

    def register(
        self, registration: Registration, external_id: str | None = None
    ) -> tuple[Merchant, bool]:
        """The merchant, and whether this call created it.

        Raises:
            ConflictError: the account name or the external id belongs to another merchant.
            UnavailableError: WeChat did not answer; repeating the request is safe.
        """
        known = self.store.find_by_account_name(registration.account_name)
        if known:
            return _same(known, external_id), False
        if external_id is not None and self.store.find_by_external_id(external_id):
            raise ConflictError(
                "external_id belongs to a merchant of another account_name", field="external_id"
            )
        found, created = self._settle(registration)
        now = self.clock()
        new = replace(found, external_id=external_id, created_at=now, updated_at=now)
        stored = self.store.add(new)
        return _same(stored, external_id), created

    def get(self, business_id: str) -> Merchant:
        """Raises NotFoundError."""
        merchant = self.store.get(business_id)
        if merchant is None:
            raise NotFoundError("no such merchant")
        return merchant

    def _settle(self, registration: Registration) -> tuple[Merchant, bool]:
        try:
            business_id = self.directory.register(registration)
        except NameTakenError:
            return self._recover(registration), False
        except OutcomeUnknownError:
            return self._recover(registration), True
        return Merchant(business_id, registration.account_name, registration.nickname), True

    def _recover(self, registration: Registration) -> Merchant:
        found = self.directory.find(registration.account_name)
        if found is None:
            raise UnavailableError("WeChat did not confirm the registration; please repeat it")
        return found


def _same(merchant: Merchant, external_id: str | None) -> Merchant:
    if external_id is not None and merchant.external_id != external_id:
        raise ConflictError(
            "account_name is registered with another external_id",
            field="account_name",
            business_id=merchant.business_id,
        )
    return merchant
