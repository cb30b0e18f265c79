"""WeChat's list of sub-merchants, in the terms of the merchants domain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from wechat_kf.app_errors import AppError
from wechat_kf.domain.merchants.merchant import (
    AccountNameTakenError,
    DirectoryEntry,
    OutcomeUnknownError,
    Registration,
    UnreadableEntryError,
)
from wechat_kf.wechat import errors as wechat_errors
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.submerchants import SubMerchant

_BUSINESS_ID = re.compile(r"[1-9][0-9]{0,19}")
_LONGEST = 200
"""Characters of a name; WeChat allows 30."""

_LONGEST_URL = 2_000


class WeChatDirectory:
    """Implements `SubMerchantDirectory`. WeChat's other refusals pass through."""

    def __init__(self, client: WeChatClient) -> None:
        self._client = client

    def register(self, registration: Registration, icon_media_id: str) -> DirectoryEntry:
        try:
            business_id = self._client.register(
                registration.account_name,
                registration.nickname,
                icon_media_id,
                transfer_to_commkf=registration.transfer_to_commkf,
            )
        except wechat_errors.AccountNameUsedError as error:
            rid = {"rid": error.rid} if error.rid else {}
            raise AccountNameTakenError(errcode=error.errcode, **rid) from None
        except (wechat_errors.TransportError, wechat_errors.MalformedReplyError) as error:
            if error.sent == "perhaps":
                raise OutcomeUnknownError from None
            raise
        return self._read_back(business_id, registration)

    def update(
        self, business_id: str, *, nickname: str | None = None, icon_media_id: str | None = None
    ) -> None:
        self._client.update(business_id, nickname=nickname, icon_media_id=icon_media_id)

    def get(self, business_id: str) -> DirectoryEntry | None:
        try:
            return _entry(self._client.get(business_id=business_id))
        except wechat_errors.MalformedReplyError:
            raise UnreadableEntryError(business_id) from None
        except wechat_errors.SubMerchantNotFoundError:
            return None

    def find(self, account_name: str) -> DirectoryEntry | None:
        try:
            return _entry(self._client.get(account_name=account_name))
        except wechat_errors.SubMerchantNotFoundError:
            return None

    def list(self, report_unreadable: Callable[[str], None]) -> Iterator[DirectoryEntry]:
        for found in self._client.iter_all():
            try:
                entry = _entry(found)
            except UnreadableEntryError:
                report_unreadable(found.business_id)
                continue
            yield entry

    def upload_icon(self, image: bytes) -> str:
        return self._client.upload_image(image).media_id

    def _read_back(self, business_id: str, registration: Registration) -> DirectoryEntry:
        """Return the new sub-merchant as WeChat shows it, with the icon's address.

        It is open by now: a failure to read it back must not look like a failure to open it. The
        next reconciliation fills in what is missing.
        """
        try:
            found = self.get(business_id)
        except (wechat_errors.WeChatError, AppError):
            found = None
        return found or DirectoryEntry(
            business_id, registration.account_name, registration.nickname
        )


def _entry(found: SubMerchant) -> DirectoryEntry:
    """Translate WeChat's description.

    Be strict about what identifies a sub-merchant, which becomes a key of ours; lenient about the
    rest: a nickname may be empty.
    """
    usable = _BUSINESS_ID.fullmatch(found.business_id) and 0 < len(found.account_name) <= _LONGEST
    if not usable or len(found.nickname) > _LONGEST:
        raise UnreadableEntryError(found.business_id)
    icon = found.icon or ""
    icon_url = icon if len(icon) <= _LONGEST_URL else ""
    return DirectoryEntry(found.business_id, found.account_name, found.nickname, icon_url)
