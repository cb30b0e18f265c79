"""A campaign: buyers who enter a shop's conversation, and one broadcast to all of them."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.page.shops import ShopError, document

MOST_BUYERS = 50
AT_ONCE = 4


def start_campaign(stack: StackInfo, business_id: str, buyers: int, text: str) -> dict[str, Any]:
    """Let so many new buyers enter, broadcast `text` to them, and return the API's answer.

    Raises:
        ShopError: the API refused, or the number is not from 1 to `MOST_BUYERS`.
        PushRefusedError, NothingFoundError: a buyer could not enter.
    """
    if not 1 <= buyers <= MOST_BUYERS:
        raise ShopError(f"buyers must be from 1 to {MOST_BUYERS}")
    api, simulator = ApiClient.of(stack), SimulatorClient(stack.simulator_url)
    campaign = secrets.token_hex(4)
    openids = [f"oCampaign{campaign}{number:011}" for number in range(buyers)]

    def enter(openid: str) -> None:
        simulator.enter(openid, business_id)
        api.wait_for_conversation(business_id, openid)

    enter(openids[0])  # alone: pushes time out when several functions start at once
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(enter, openids[1:]))
    body = {"openids": openids, "message": {"type": "text", "text": text}}
    return document(api.post(f"/merchants/{business_id}/broadcasts", body))
