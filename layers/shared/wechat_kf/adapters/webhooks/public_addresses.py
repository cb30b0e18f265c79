"""Which addresses a webhook may be posted to: public unicast addresses only.

Written out rather than left to `ipaddress.is_global`, whose answer differs between Python versions.
https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

IPv4 = ipaddress.IPv4Network
IPv6 = ipaddress.IPv6Network

_NOT_PUBLIC_V4 = tuple(
    IPv4(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; holds some clouds' metadata service
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; holds AWS's metadata and credentials services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)

_PUBLIC_V6 = IPv6("2000::/3")
"""All global unicast. Outside: loopback, link-local, unique local (AWS's metadata service is one),
multicast, IPv4-mapped and -compatible addresses, NAT64 with both its prefixes."""

_NOT_PUBLIC_V6 = tuple(
    IPv6(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo: may carry an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address
        "3fff::/20",  # documentation
    )
)


class ForbiddenAddressError(Exception):
    """A name resolves to an address that we do not call. The message contains neither."""


def is_public(text: str) -> bool:
    """Return whether `text` is the address of a public host."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return (
        address.scope_id is None
        and address in _PUBLIC_V6
        and not any(address in network for network in _NOT_PUBLIC_V6)
    )


def is_loopback(text: str) -> bool:
    """Return whether `text` is a loopback address."""
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def check_addresses(addresses: Sequence[str], *, allow_loopback: bool = False) -> Sequence[str]:
    """Return `addresses` if we may call every one of them.

    One forbidden address among public ones is an attempt to reach an internal host.

    Raises:
        ForbiddenAddressError: one of them is not public, or there are none.
    """
    for address in addresses:
        if not (is_public(address) or (allow_loopback and is_loopback(address))):
            raise ForbiddenAddressError
    if not addresses:
        raise ForbiddenAddressError
    return addresses
