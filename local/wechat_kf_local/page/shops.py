"""Two demo shops, registered and subscribed through the API like any other."""

import base64
from dataclasses import dataclass
from typing import Any

import requests

from wechat_kf_cli.stack.clients import ApiClient, ReceiverClient
from wechat_kf_cli.stack.state import StackInfo
from wechat_kf_local.page.icons import Rosette, png


class ShopError(Exception):
    """The API refused a shop; the message says why."""


@dataclass(frozen=True, slots=True)
class DemoShop:
    """A shop to register. `external_id` makes it idempotent and names the shop's webhook."""

    external_id: str
    nickname: str
    icon: Rosette


DEMO_SHOPS = (
    DemoShop(
        "demo-yunling",
        "云岭茶铺Yunling",
        Rosette(6, 0.42, ground=(226, 236, 221), petal=(46, 107, 79), heart=(176, 122, 36)),
    ),
    DemoShop(
        "demo-qinghe",
        "青禾陶器Qinghe",
        Rosette(9, 0.24, ground=(243, 226, 213), petal=(173, 82, 52), heart=(58, 84, 110)),
    ),
)


def open_demo_shops(stack: StackInfo) -> None:
    """Register and subscribe both shops; existing ones stay unchanged.

    Raises:
        ShopError: the API refused.
    """
    api, receiver = ApiClient.of(stack), ReceiverClient(stack.receiver_url)
    for shop in DEMO_SHOPS:
        _subscribe(api, receiver, _register(api, shop), shop.external_id)


def subscribe(stack: StackInfo, business_id: str) -> None:
    """Subscribe the receiver that the page shows, if the merchant has none there yet.

    Raises:
        ShopError: the API refused.
    """
    api, receiver = ApiClient.of(stack), ReceiverClient(stack.receiver_url)
    _subscribe(api, receiver, business_id, f"shop-{business_id}")


def _register(api: ApiClient, shop: DemoShop) -> str:
    body = {
        "external_id": shop.external_id,
        "nickname": shop.nickname,
        "icon": base64.b64encode(png(shop.icon)).decode(),
    }
    business_id: str = document(api.post("/merchants", body))["business_id"]
    return business_id


def _subscribe(api: ApiClient, receiver: ReceiverClient, business_id: str, hook: str) -> None:
    url = receiver.hook(hook)
    if url in _webhook_urls(api, business_id):
        return
    target = {"target": {"type": "webhook", "url": url}}
    created = document(api.post(f"/merchants/{business_id}/subscriptions", target))
    receiver.configure(hook, secret=created["secret"])


def _webhook_urls(api: ApiClient, business_id: str) -> list[str]:
    items = document(api.get(f"/merchants/{business_id}/subscriptions"))["items"]
    return [item["target"]["url"] for item in items if item["target"]["type"] == "webhook"]


def document(response: requests.Response) -> dict[str, Any]:
    """Return what the API answered.

    Raises:
        ShopError: it refused.
    """
    if not response.ok:
        raise ShopError(f"the API returned {response.status_code}: {response.text[:200]}")
    answer: dict[str, Any] = response.json()
    return answer
