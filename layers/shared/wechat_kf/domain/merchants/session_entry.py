"""Whose conversation a buyer entered, when WeChat does not say.

WeChat may leave the business id out of `user_enter_tempsession`. The contact button then still
names the merchant in `session-from`; but that text comes from the buyer's device, so it counts only
when it names a merchant of ours. Source: reference/wechat.md section 7.4 and pitfall 18.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wechat_kf.domain.events import MAIN_ACCOUNT, Event, EventType
from wechat_kf.domain.merchants.contact_button import business_id_from
from wechat_kf.domain.merchants.merchant import MerchantReader


@dataclass(frozen=True, slots=True)
class EntryRecovery:
    """Gives an entering of unknown merchant back to the merchant whose button was tapped."""

    merchants: MerchantReader

    def recovered(self, event: Event) -> Event:
        """The event, of the merchant that its `session_from` names if that is one of ours.

        Its id stays. Any other event, and one whose merchant WeChat did tell, is returned as it is,
        without a look at the merchants. An inactive merchant counts: its buyers can still write.
        """
        if event.type != EventType.SESSION_ENTERED or event.business_id != MAIN_ACCOUNT:
            return event
        claimed = business_id_from(event.data["session_from"])
        if claimed == MAIN_ACCOUNT or self.merchants.get(claimed) is None:
            return event
        data = {**event.data, "business_id": claimed}
        return replace(event, business_id=claimed, data=data)
