"""Sub-merchants: their names and their number (docs/wechat-api.md, section 3)."""

import re
from dataclasses import dataclass, replace
from typing import Final

from wechat_kf_local.simulator.rules.refusals import Refused
from wechat_kf_local.simulator.settings import Settings

_ACCOUNT_NAME: Final = re.compile(r"[A-Za-z0-9_]{6,30}")
_NICKNAME: Final = re.compile(r"(?:[A-Za-z0-9]|[㐀-䶿一-鿿豈-﫿\U00020000-\U0003ffff])*")


@dataclass(frozen=True, slots=True)
class SubMerchant:
    """One sub-merchant; `icon_media_id` keeps naming its picture after the media has expired."""

    business_id: int
    account_name: str
    nickname: str
    icon_media_id: str
    transfer_to_commkf: bool = False


class Accounts:
    """All sub-merchants, in the order of their ids. None can be deleted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._all: dict[int, SubMerchant] = {}
        self._by_name: dict[str, int] = {}

    def register(
        self, account_name: str, nickname: str, icon_media_id: str, *, transfer: bool = False
    ) -> SubMerchant:
        """Create one. The icon has been checked. Raises Refused."""
        if not _ACCOUNT_NAME.fullmatch(account_name):
            raise Refused(45091)
        if account_name in self._by_name:
            raise Refused(45070)
        self.check_nickname(nickname)
        if len(self._all) >= self._settings.max_sub_merchants:
            raise Refused(45077)
        created = SubMerchant(len(self._all) + 1, account_name, nickname, icon_media_id, transfer)
        self._all[created.business_id] = created
        self._by_name[account_name] = created.business_id
        return created

    def update(self, business_id: int, *, nickname: str, icon_media_id: str) -> SubMerchant:
        """Change what is not empty. Raises Refused."""
        found = self.by_id(business_id)
        if nickname:
            self.check_nickname(nickname)
            found = replace(found, nickname=nickname)
        if icon_media_id:
            found = replace(found, icon_media_id=icon_media_id)
        self._all[business_id] = found
        return found

    def check_nickname(self, nickname: str) -> None:
        """Raises Refused unless the width is 4 to 30, a Chinese character counting 2."""
        width = sum(1 if character.isascii() else 2 for character in nickname)
        if not _NICKNAME.fullmatch(nickname) or not 4 <= width <= 30:
            raise Refused(45078)
        lowered = nickname.lower()
        if any(word.lower() in lowered for word in self._settings.forbidden_words):
            raise Refused(45079)

    def by_id(self, business_id: int) -> SubMerchant:
        found = self._all.get(business_id)
        if found is None:
            raise Refused(45071)
        return found

    def by_name(self, account_name: str) -> SubMerchant:
        return self.by_id(self._by_name.get(account_name, 0))

    def page(self, offset: int, count: int) -> list[SubMerchant]:
        return list(self._all.values())[offset : offset + count]

    def reset(self) -> None:
        self._all.clear()
        self._by_name.clear()
