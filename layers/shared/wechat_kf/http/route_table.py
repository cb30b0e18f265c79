"""Every route of the HTTP API: path → methods. Generated: `make openapi`."""

from collections.abc import Mapping
from typing import Final

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/merchants": ("GET", "POST"),
    "/merchants/sync": ("POST",),
    "/merchants/{business_id}": ("GET", "DELETE", "PATCH"),
    "/merchants/{business_id}/contact-button": ("GET",),
    "/merchants/{business_id}/messages": ("POST",),
    "/merchants/{business_id}/messages/{message_id}": ("GET",),
    "/merchants/{business_id}/subscriptions": ("GET", "POST"),
    "/merchants/{business_id}/subscriptions/{subscription_id}": ("GET", "DELETE", "PATCH"),
    "/merchants/{business_id}/subscriptions/{subscription_id}/rotate-secret": ("POST",),
    "/merchants/{business_id}/subscriptions/{subscription_id}/test": ("POST",),
    "/wechat/push": ("GET", "POST"),
}
