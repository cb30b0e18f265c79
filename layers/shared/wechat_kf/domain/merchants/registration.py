"""Opening a sub-merchant so that any failure can be answered by a repeat.

An account name can never be reused, and WeChat answers a repeat with an error; so after any
interruption the account name finds the sub-merchant again (docs/wechat-api.md, section 3.1).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from wechat_kf.app_errors import ConflictError, UnavailableError
from wechat_kf.domain.clock import Clock
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    ChangedMeanwhileError,
    DirectoryEntry,
    Merchant,
    MerchantStore,
    OutcomeUnknownError,
    Registration,
    SubMerchantDirectory,
    resolve_icon,
)

TRIES = 3
PAUSE_SECONDS = 0.3
"""What another caller has just registered may not be listed at once."""


@dataclass(frozen=True, slots=True)
class Registrar:
    """Registers merchants with WeChat and keeps our record in step."""

    store: MerchantStore
    directory: SubMerchantDirectory
    clock: Clock
    pause: Callable[[float], None] = time.sleep

    def register(self, registration: Registration) -> tuple[Merchant, bool]:
        """Return the merchant, and whether this call opened it (a guess after a time-out).

        An existing merchant is returned as it is; only a missing external id is added. The icon is
        uploaded right before it is used, and not at all when it is not needed.

        Raises:
            ConflictError: the account name or the external id belongs to another merchant
                (`business_id` says which), or the name is used up (`AccountNameTakenError`).
            UnavailableError: WeChat did not answer; repeating the request is safe.
        """
        known = self._known(registration)
        if known:
            return self._link(known, registration.external_id), False
        entry, created = self._open(registration)
        return self._save(entry, registration), created

    def _known(self, registration: Registration) -> Merchant | None:
        external_id = registration.external_id
        owner = self.store.find_by_external_id(external_id) if external_id is not None else None
        if owner is None:
            return self.store.find_by_account_name(registration.account_name)
        if registration.name_is_derived or owner.account_name == registration.account_name:
            return owner
        raise ConflictError(
            "external_id belongs to a merchant of another account_name",
            field="external_id",
            business_id=owner.business_id,
        )

    def _open(self, registration: Registration) -> tuple[DirectoryEntry, bool]:
        name = registration.account_name
        # Looking first avoids the upload when an interrupted or foreign try has opened it already,
        # and makes "created" correct.
        found = self.directory.find(name)
        if found:
            return found, False
        media_id = resolve_icon(registration.icon, self.directory)
        try:
            return self.directory.register(registration, media_id), True
        except AccountNameTakenError:
            found = self._find(name)
            if found is None:
                raise
            return found, False
        except OutcomeUnknownError:
            found = self._find(name)
            if found is None:
                raise UnavailableError(
                    "WeChat did not confirm the registration; please repeat the same request"
                ) from None
            return found, True

    def _find(self, account_name: str) -> DirectoryEntry | None:
        for attempt in range(TRIES):
            if attempt:
                self.pause(PAUSE_SECONDS * attempt)
            found = self.directory.find(account_name)
            if found:
                return found
        return None

    def _save(self, entry: DirectoryEntry, registration: Registration) -> Merchant:
        adopted = Merchant.adopt(entry, registration.external_id, now=self.clock())
        new = replace(adopted, welcome_message=registration.welcome_message)
        try:
            stored = self.store.add(new)
        except ConflictError:
            # Another merchant got this external id during our call to WeChat. What WeChat has
            # opened must be on record all the same.
            self.store.add(replace(new, external_id=None))
            raise
        return self._link(stored, registration.external_id)

    def _link(self, merchant: Merchant, external_id: str | None) -> Merchant:
        for _ in range(TRIES):
            if external_id is None or merchant.external_id == external_id:
                return merchant
            if merchant.external_id is not None:
                raise ConflictError(
                    "account_name is registered with another external_id",
                    field="account_name",
                    business_id=merchant.business_id,
                )
            linked = replace(merchant, external_id=external_id, updated_at=self.clock())
            try:
                return self.store.update(merchant, linked)
            except ChangedMeanwhileError:
                merchant = self.store.get(merchant.business_id) or merchant
        raise UnavailableError("other requests keep changing this merchant; please repeat")
