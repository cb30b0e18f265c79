"""The merchant of an entered conversation, when WeChat does not name it.

WeChat may leave the business id out of `user_enter_tempsession`. The contact button still names the
merchant in `session-from`; that text comes from the buyer's device, so it counts only when it names
a merchant of ours (docs/wechat-api.md, section 7.4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.merchants.contact_button import business_id_from
from wechat_kf.domain.merchants.merchant import MerchantReader


@dataclass(frozen=True, slots=True)
class EntryRecovery:
    """Assigns an entry without a merchant to the merchant whose button was tapped."""

    merchants: MerchantReader

    def recover(self, event: Event) -> Event:
        """Return the event, assigned to the merchant that its `session_from` names, if it exists.

        Its id stays. Other events, and those whose merchant WeChat names, are returned unchanged
        without a read. An inactive merchant counts: its buyers can still write.
        """
        if event.type != EventType.SESSION_ENTERED or event.business_id != MAIN_ACCOUNT:
            return event
        claimed = business_id_from(event.data["session_from"])
        if claimed == MAIN_ACCOUNT or self.merchants.get(claimed) is None:
            return event
        data = {**event.data, "business_id": claimed}
        return replace(event, business_id=claimed, data=data)
