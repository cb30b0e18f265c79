"""No webhook leads inside, however its address is written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from wechat_kf.adapters.webhooks.public_addresses import (
    ForbiddenAddressError,
    check_addresses,
    is_public,
)

FORBIDDEN = [
    # IPv4
    "0.0.0.0",  # noqa: S104 - to be refused
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",  # metadata service of another cloud
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",  # instance metadata
    "169.254.170.2",  # container credentials
    "169.254.169.123",  # time
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    # IPv6
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",  # discard
    "2001::7f00:1",  # Teredo
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2002:a9fe:a9fe::1",  # 6to4 of 169.254.169.254
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",  # instance metadata over IPv6
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    # no addresses at all
    "",
    "localhost",
    "2130706433",
    "0x7f000001",
    "127.1",
    "010.0.0.1",
]

PUBLIC = ["1.1.1.1", "52.94.76.10", "100.63.255.255", "100.128.0.0", "172.32.0.1"]
PUBLIC += ["2606:4700:4700::1111", "2a05:d018::1", "2001:4860:4860::8888"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_ordinary_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("forbidden", ["10.0.0.1", "169.254.169.254", "::1", "127.0.0.1"])
def test_one_forbidden_address_forbids_the_name(forbidden: str) -> None:
    for answer in ([forbidden], ["1.1.1.1", forbidden], [forbidden, "1.1.1.1"]):
        with pytest.raises(ForbiddenAddressError):
            check_addresses(answer)


def test_a_name_without_addresses_is_forbidden() -> None:
    with pytest.raises(ForbiddenAddressError):
        check_addresses([])


def test_the_local_stack_may_reach_the_loopback_and_nothing_else_inside() -> None:
    assert check_addresses(["127.0.0.1", "::1"], allow_loopback=True) == ["127.0.0.1", "::1"]
    for inside in ("10.0.0.1", "169.254.169.254", "192.168.1.1"):
        with pytest.raises(ForbiddenAddressError):
            check_addresses([inside], allow_loopback=True)


@given(ip_addresses())
def test_what_we_call_public_python_calls_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_never_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for disguise in (
        ipaddress.IPv6Address(number),
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
        ipaddress.IPv6Address(0x20010000 << 96 | (number ^ 0xFFFFFFFF)),
    ):
        assert not is_public(str(disguise))
