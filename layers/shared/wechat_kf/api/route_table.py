"""Every route of the HTTP API: path → methods. Generated: `make docs`."""

from collections.abc import Mapping
from typing import Final

ROUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "/media": ("POST",),
    "/media/{media_id}": ("GET",),
    "/merchants": ("GET", "POST"),
    "/merchants/sync": ("POST",),
    "/merchants/{business_id}": ("GET", "DELETE", "PATCH"),
    "/merchants/{business_id}/broadcasts": ("POST",),
    "/merchants/{business_id}/broadcasts/{broadcast_id}": ("GET",),
    "/merchants/{business_id}/broadcasts/{broadcast_id}/recipients": ("GET",),
    "/merchants/{business_id}/contact-button": ("GET",),
    "/merchants/{business_id}/conversations": ("GET",),
    "/merchants/{business_id}/conversations/{openid}": ("GET",),
    "/merchants/{business_id}/conversations/{openid}/messages": ("GET",),
    "/merchants/{business_id}/messages": ("POST",),
    "/merchants/{business_id}/messages/{message_id}": ("GET",),
    "/merchants/{business_id}/messages/{message_id}/retry": ("POST",),
    "/merchants/{business_id}/subscriptions": ("GET", "POST"),
    "/merchants/{business_id}/subscriptions/{subscription_id}": ("GET", "DELETE", "PATCH"),
    "/merchants/{business_id}/subscriptions/{subscription_id}/attempts": ("GET",),
    "/merchants/{business_id}/subscriptions/{subscription_id}/recover": ("POST",),
    "/merchants/{business_id}/subscriptions/{subscription_id}/rotate-secret": ("POST",),
    "/merchants/{business_id}/subscriptions/{subscription_id}/test": ("POST",),
    "/merchants/{business_id}/typing": ("POST",),
    "/quota": ("GET",),
    "/wechat/push": ("GET", "POST"),
}
